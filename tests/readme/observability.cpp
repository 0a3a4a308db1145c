// The code of docs/observability.md, run against the scripted server.

#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>

namespace {

void require(bool holds, const char* what) {
    if (!holds) {
        throw std::runtime_error(std::string("does not hold: ") + what);
    }
}

void count(const llmproc::LLMProgram& program) {
    auto metrics = std::make_shared<llmproc::CallMetrics>();
    llmproc::SyncLLMProcess process = program.with_observer(metrics).start_sync();
    process.run("Hello!");

    llmproc::CallMetricsSnapshot counts = metrics->snapshot();
    std::cout << counts.calls << " calls, " << counts.failed_calls << " failed, " << counts.retries
              << " retries, " << counts.usage.total_tokens << " tokens\n"
              << counts.full_handshakes << " handshakes, " << counts.reused << " reused\n";
    llmproc::StepCounters connects = counts.step(llmproc::CallStep::connect);
    std::cout << connects.count << " connections, " << connects.failures << " failed\n";

    require(counts.calls == 1 && counts.full_handshakes == 1, "one call, one handshake");
    require(connects.count == 1 && connects.failures == 0, "one connection");
}

class OtelLog : public llmproc::Observer {
public:
    explicit OtelLog(std::ostream& out) : out_(out) {}

    void on_event(const llmproc::CallEvent& event) noexcept override {
        const std::lock_guard lock(mutex_);  // processes on other loops call at the same time
        out_ << llmproc::otel_event_name(event.step);
        for (const llmproc::OtelAttribute& attribute : llmproc::otel_attributes(event)) {
            out_ << ' ' << attribute.key << '=';
            std::visit([this](const auto& value) { out_ << value; }, attribute.value);
        }
        const std::chrono::duration<double> seconds = event.duration;
        out_ << " (" << seconds.count() << " s)\n";
    }

private:
    std::mutex mutex_;
    std::ostream& out_;
};

void log(const llmproc::LLMProgram& program) {
    std::ostringstream text;
    program.with_observer(std::make_shared<OtelLog>(text)).start_sync().run("Hello!");
    require(
        text.str().find("llmproc.done gen_ai.operation.name=chat") != std::string::npos,
        "the log has the conventions' names"
    );
}

void count_without_an_observer(const llmproc::LLMProgram& program) {
    llmproc::SyncLLMProcess process = program.start_sync();
    process.run("Hello!");

    llmproc::ProcessStats stats = process.stats();
    std::cout << stats.requests << " requests, " << stats.connections_opened << " connections, "
              << stats.tls_resumed << " resumed, " << stats.retries << " retries\n";
    llmproc::ConnectionStats pool = llmproc::connection_stats(process.get_executor());
    std::cout << pool.in_use << " in use, " << pool.idle << " idle, " << pool.waiting
              << " calls wait\n";

    require(stats.requests == 1 && pool.idle == 1, "one request, its connection is kept");
}

}  // namespace

int main() {
    try {
        llmproc::testing::ScriptedServer server;
        server.handle(llmproc::testing::openai_chat_echo);
        const auto program = llmproc::LLMProgram::from_toml_string(
            "[model]\nname = 'any'\nprovider = 'openai_compatible'\nbase_url = '" +
            server.base_url() + "'\n[connection]\nca_file = '" + server.ca_file() + "'\n"
        );
        count(program);
        log(program);
        count_without_an_observer(program);
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
