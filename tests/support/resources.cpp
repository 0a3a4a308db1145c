#include "support/resources.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

namespace llmproc::testing {

namespace {

std::size_t entries(const char* folder) {
    const std::filesystem::directory_iterator list(folder);
    return static_cast<std::size_t>(std::distance(begin(list), end(list)));
}

std::size_t descriptors_but_pipes() {
    std::size_t count = 0;
    for (const auto& descriptor : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code closed_meanwhile;
        const auto what = std::filesystem::read_symlink(descriptor.path(), closed_meanwhile);
        count += closed_meanwhile || what.native().starts_with("pipe:") ? 0U : 1U;
    }
    return count;
}

template <typename Enough>
Resources wait_until(Enough enough, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    Resources held = Resources::now();
    while (!enough(held) && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        held = Resources::now();
    }
    return held;
}

}  // namespace

Resources Resources::now() {
    Resources held;
    held.threads = entries("/proc/self/task");
    held.descriptors = needs_descriptors_itself() ? descriptors_but_pipes()
                                                  : entries("/proc/self/fd");
    return held;
}

Resources settled(const Resources& expected, std::chrono::milliseconds limit) {
    return wait_until([&](const Resources& held) { return held == expected; }, limit);
}

Resources at_most(const Resources& allowed, std::chrono::milliseconds limit) {
    const auto enough = [&](const Resources& held) {
        return held.threads <= allowed.threads && held.descriptors <= allowed.descriptors;
    };
    return wait_until(enough, limit);
}

std::size_t threads_named(const std::string& prefix) {
    std::size_t count = 0;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(thread.path() / "comm");
        std::string name;
        std::getline(file, name);
        count += name.starts_with(prefix) ? 1U : 0U;
    }
    return count;
}

bool needs_descriptors_itself() {
    // Part of UBSan's library, if this program is linked with it.
    return ::dlsym(RTLD_DEFAULT, "__ubsan_handle_dynamic_type_cache_miss") != nullptr;
}

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace llmproc::testing
