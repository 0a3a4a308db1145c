#include "support/parity_support.hpp"

#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <sstream>
#include <stdexcept>
#include <typeinfo>
#include <utility>

namespace llmproc::testing {

namespace {

namespace asio = boost::asio;
using Options = std::optional<RunOptions>;

class SyncSubject final : public Subject {
public:
    explicit SyncSubject(const LLMProgram& program) : process_(program.start_sync()) {}

    RunResult run(std::string prompt, const Options& options) override {
        return options ? process_.run(std::move(prompt), *options)
                       : process_.run(std::move(prompt));
    }
    RunResult run(Message message, const Options& options) override {
        return options ? process_.run(std::move(message), *options)
                       : process_.run(std::move(message));
    }
    std::string run_as(std::string prompt, const Options& options) override {
        return options ? process_.run_as<std::string>(std::move(prompt), *options)
                       : process_.run_as<std::string>(std::move(prompt));
    }
    TypedResult<std::string> run_typed(Message message, const Options& options) override {
        return options ? process_.run_typed<std::string>(std::move(message), *options)
                       : process_.run_typed<std::string>(std::move(message));
    }
    void read_stream(std::string prompt, const Options& options, std::string& text) override {
        SyncStream stream = options ? process_.stream(std::move(prompt), *options)
                                    : process_.stream(std::move(prompt));
        while (const std::optional<StreamEvent> event = stream.next()) {
            text += describe(*event);
        }
        text += stream.next() ? "more" : "end";
    }
    RunResult stream_result(Message message, const Options& options) override {
        SyncStream stream = options ? process_.stream(std::move(message), *options)
                                    : process_.stream(std::move(message));
        return stream.result();
    }
    ChatReply complete(ChatRequest request, const Options& options) override {
        return options ? process_.complete(std::move(request), *options)
                       : process_.complete(std::move(request));
    }
    TokenCount count_tokens(const Options& options) override {
        return options ? process_.count_tokens(*options) : process_.count_tokens();
    }
    Embeddings embed(std::vector<std::string> texts, const Options& options) override {
        return options ? process_.embed(std::move(texts), *options)
                       : process_.embed(std::move(texts));
    }
    Embeddings embed(EmbedRequest request, const Options& options) override {
        return options ? process_.embed(std::move(request), *options)
                       : process_.embed(std::move(request));
    }
    std::vector<std::string> list_models(const Options& options) override {
        return options ? process_.list_models(*options) : process_.list_models();
    }
    void reset() override { process_.reset(); }
    void close() override { process_.close(); }
    History messages() override { return process_.messages(); }
    ProcessStats stats() override { return process_.stats(); }

private:
    SyncLLMProcess process_;
};

template <typename T>
asio::awaitable<void> keep(asio::awaitable<T> call, std::optional<T>& value) {
    T result = co_await std::move(call);
    value.emplace(std::move(result));
}

asio::awaitable<void> read_all(asio::awaitable<Stream> opening, std::string& text) {
    Stream stream = co_await std::move(opening);
    bool more = true;
    while (more) {
        const std::optional<StreamEvent> event = co_await stream.next();
        more = event.has_value();
        text += event ? describe(*event) : std::string();
    }
    const std::optional<StreamEvent> beyond = co_await stream.next();
    text += beyond ? "more" : "end";
}

asio::awaitable<RunResult> result_of(asio::awaitable<Stream> opening) {
    Stream stream = co_await std::move(opening);
    co_return co_await stream.result();
}

class AsyncSubject final : public Subject {
public:
    explicit AsyncSubject(const LLMProgram& program)
        : process_(program.start(io_.get_executor())) {}

    RunResult run(std::string prompt, const Options& options) override {
        return value_of(
            options ? process_.run(std::move(prompt), *options) : process_.run(std::move(prompt))
        );
    }
    RunResult run(Message message, const Options& options) override {
        return value_of(
            options ? process_.run(std::move(message), *options) : process_.run(std::move(message))
        );
    }
    std::string run_as(std::string prompt, const Options& options) override {
        return value_of(
            options ? process_.run_as<std::string>(std::move(prompt), *options)
                    : process_.run_as<std::string>(std::move(prompt))
        );
    }
    TypedResult<std::string> run_typed(Message message, const Options& options) override {
        return value_of(
            options ? process_.run_typed<std::string>(std::move(message), *options)
                    : process_.run_typed<std::string>(std::move(message))
        );
    }
    void read_stream(std::string prompt, const Options& options, std::string& text) override {
        drive(read_all(
            options ? process_.stream(std::move(prompt), *options)
                    : process_.stream(std::move(prompt)),
            text
        ));
    }
    RunResult stream_result(Message message, const Options& options) override {
        return value_of(result_of(
            options ? process_.stream(std::move(message), *options)
                    : process_.stream(std::move(message))
        ));
    }
    ChatReply complete(ChatRequest request, const Options& options) override {
        return value_of(
            options ? process_.complete(std::move(request), *options)
                    : process_.complete(std::move(request))
        );
    }
    TokenCount count_tokens(const Options& options) override {
        return value_of(options ? process_.count_tokens(*options) : process_.count_tokens());
    }
    Embeddings embed(std::vector<std::string> texts, const Options& options) override {
        return value_of(
            options ? process_.embed(std::move(texts), *options) : process_.embed(std::move(texts))
        );
    }
    Embeddings embed(EmbedRequest request, const Options& options) override {
        return value_of(
            options ? process_.embed(std::move(request), *options)
                    : process_.embed(std::move(request))
        );
    }
    std::vector<std::string> list_models(const Options& options) override {
        return value_of(options ? process_.list_models(*options) : process_.list_models());
    }
    void reset() override { drive(process_.reset()); }
    void close() override { drive(process_.aclose()); }
    History messages() override { return process_.messages(); }
    ProcessStats stats() override { return process_.stats(); }

private:
    void drive(asio::awaitable<void> call) {
        bool ended = false;
        std::exception_ptr error;
        asio::co_spawn(io_, std::move(call), [&](std::exception_ptr failure) {
            error = std::move(failure);
            ended = true;
        });
        io_.restart();
        while (!ended && io_.run_one_for(watchdog) > 0) {}
        if (!ended) {
            throw std::logic_error("the io_context ran out of work, or hangs");
        }
        if (error) {
            std::rethrow_exception(error);
        }
    }

    template <typename T>
    T value_of(asio::awaitable<T> call) {
        std::optional<T> value;
        drive(keep(std::move(call), value));
        return std::move(*value);
    }

    asio::io_context io_;
    AsyncLLMProcess process_;
};

void append(std::ostream& out, const Diagnostics& known) {
    out << "\nprovider " << known.provider << "\nmodel " << known.model << "\nendpoint "
        << known.endpoint << "\nstatus " << known.status.value_or(0) << "\nrequest_id "
        << known.request_id << "\nprovider_type " << known.provider_type << "\nprovider_code "
        << known.provider_code << "\nprovider_message " << known.provider_message
        << "\npartial_text " << known.partial_text << "\nretry_after "
        << known.retry_after.value_or(std::chrono::milliseconds(-1)).count() << "\nattempts "
        << known.attempts << "\nstage " << to_string(known.stage);
}

}  // namespace

std::unique_ptr<Subject> sync_subject(const LLMProgram& program) {
    return std::make_unique<SyncSubject>(program);
}

std::unique_ptr<Subject> async_subject(const LLMProgram& program) {
    return std::make_unique<AsyncSubject>(program);
}

std::string describe(const TypedResult<std::string>& typed) {
    return typed.value + " " + describe(typed.result);
}

std::string describe(const ChatReply& reply) {
    std::ostringstream out;
    const Usage& usage = reply.usage;
    out << reply.message.to_json() << "\nstop " << to_string(reply.stop_reason) << " ("
        << reply.raw_stop_reason << ")\nusage " << usage.input_tokens << '/' << usage.output_tokens
        << '/' << usage.total_tokens << " reported " << usage.reported << "\nmodel " << reply.model
        << " id " << reply.id << " request_id " << reply.request_id;
    return out.str();
}

std::string describe(const RunResult& result) {
    std::ostringstream out;
    out << describe(result.reply()) << "\ntext " << result.text() << "\napi_calls "
        << result.api_calls() << " usage " << result.usage().total_tokens << " cost "
        << result.cost().value_or(Cost{-1}).usd << "\ntool_calls";
    for (const ToolCallBlock& call : result.tool_calls()) {
        out << ' ' << call.id << ':' << call.name << call.arguments;
    }
    return out.str();
}

std::string describe(const TokenCount& count) {
    std::ostringstream out;
    out << count.input_tokens << (count.exact ? " exact " : " about ") << to_string(count.source);
    return out.str();
}

std::string describe(const Embeddings& embeddings) {
    std::ostringstream out;
    for (const std::vector<float>& vector : embeddings.vectors) {
        for (const float value : vector) {
            out << value << ' ';
        }
        out << '\n';
    }
    out << "model " << embeddings.model << " tokens " << embeddings.usage.total_tokens;
    return out.str();
}

std::string describe(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += name + '\n';
    }
    return text;
}

std::string describe(const StreamEvent& event) {
    std::ostringstream out;
    out << static_cast<int>(event.type) << '[' << event.data << ']' << event.usage.total_tokens
        << ' ' << to_string(event.stop_reason) << '\n';
    return out.str();
}

std::string describe(const ProcessStats& stats) {
    std::ostringstream out;
    out << "runs " << stats.runs << " failed " << stats.failed_runs << " requests "
        << stats.requests << " opened " << stats.connections_opened << " handshakes "
        << stats.tls_handshakes << " reused " << stats.connections_reused << " replaced "
        << stats.connections_replaced << " usage " << stats.usage.input_tokens << '/'
        << stats.usage.output_tokens << " cost " << stats.cost.value_or(Cost{-1}).usd
        << " unpriced " << stats.unpriced << " tool_calls " << stats.tool_calls;
    return out.str();
}

std::string describe(const RecordedRequest& request) {
    std::ostringstream out;
    out << request.method << ' ' << request.target << " as number " << request.sequence;
    for (const auto& [name, value] : request.headers) {
        out << '\n' << name << ": " << value;
    }
    out << '\n' << request.body << '\n';
    return out.str();
}

std::string describe(const std::exception_ptr& error) {
    std::ostringstream out;
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        out << typeid(known).name() << ' ' << static_cast<int>(known.errc()) << ' ' << known.what();
        if (const auto* timeout = dynamic_cast<const Timeout*>(&known)) {
            out << "\nafter " << timeout->limit().count() << " in " << to_string(timeout->stage());
        }
        if (const auto* cancelled = dynamic_cast<const Cancelled*>(&known)) {
            out << "\nby " << to_string(cancelled->reason());
        }
        append(out, known.diagnostics());
    } catch (const std::exception& foreign) {
        out << "foreign " << typeid(foreign).name() << ' ' << foreign.what();
    }
    return out.str();
}

}  // namespace llmproc::testing
