#include "idle_probe.hpp"

#include <llmproc/llmproc.hpp>
#include "workload.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>
#include <vector>

namespace llmproc::bench {

namespace {

/// One more while it counts, always the same.
std::ptrdiff_t descriptors() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

}  // namespace

double resident_mib() {
    std::ifstream file("/proc/self/statm");
    double pages = 0;
    file >> pages >> pages;
    return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0);
}

void print_idle_memory(std::ostream& out, std::size_t processes) {
    // Nobody is called, so there need not be a server.
    const auto program = LLMProgram::from_toml_string(
        "[model]\nname = \"any\"\nprovider = \"openai_chat\"\n"
        "base_url = \"https://127.0.0.1/v1\"\napi_key_env = \"" +
            std::string(key_variable) +
            "\"\n[prompt]\nsystem = \"Answer in one short sentence.\"\n"
            "[connection]\nproxy = \"\"\n",
        "idle.toml"
    );
    const EventLoop loop;
    const SyncOptions shared = SyncOptions().on(loop);
    const SyncLLMProcess first = program.start_sync(shared);
    std::vector<SyncLLMProcess> idle;
    idle.reserve(processes);
    const double before = resident_mib();
    for (std::size_t i = 0; i < processes; ++i) {
        idle.push_back(program.start_sync(shared));
    }
    out << resident_mib() - before << '\n';
}

void print_loop_descriptors(std::ostream& out) {
    const std::ptrdiff_t before = descriptors();
    std::ptrdiff_t own = 0;
    {
        const EventLoop loop;
        own = descriptors() - before;
    }
    boost::asio::io_context context;
    const boost::asio::ip::tcp::socket makes_the_reactor(context);
    out << own << ' ' << descriptors() - before << '\n';
}

}  // namespace llmproc::bench
