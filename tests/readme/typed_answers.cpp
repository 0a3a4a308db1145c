// The code of docs/typed_answers.md, run against the scripted server.

#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>

namespace {

void require(bool holds, const char* what) {
    if (!holds) {
        throw std::runtime_error(std::string("does not hold: ") + what);
    }
}

enum class Sky { clear, cloudy, rain };
BOOST_DESCRIBE_ENUM(Sky, clear, cloudy, rain)

struct Weather {
    std::string city;
    double celsius = 0;
    Sky sky = Sky::clear;
    std::optional<std::string> warning;
};
BOOST_DESCRIBE_STRUCT(Weather, (), (city, celsius, sky, warning))

void value(llmproc::SyncLLMProcess& process) {
    auto weather = process.run_as<Weather>("The weather in Paris?");
    std::cout << weather.city << ": " << weather.celsius << " degrees\n";
    require(weather.sky == Sky::rain && !weather.warning, "the answer's value");
}

void with_result(llmproc::SyncLLMProcess& process) {
    auto typed = process.run_typed<Weather>("The weather in Paris?");
    std::cout << typed.value.city << ", " << typed.result.usage().total_tokens << " tokens\n";
    require(typed.result.api_calls() == 1, "one exchange");
}

void invalid(llmproc::SyncLLMProcess& process) {
    try {
        auto weather = process.run_as<Weather>("And on Atlantis?", llmproc::RunOptions().reasks(2));
    } catch (const llmproc::LLMError& error) {
        if (error.errc() == llmproc::Errc::invalid_answer) {
            std::cout << "instead of the weather: " << error.diagnostics().partial_text << '\n';
        }
    }
    require(process.messages().size() == 4, "the failure left the conversation as it was");
}

void json() {
    Weather weather{"Paris", 21.5, Sky::rain, std::nullopt};
    std::string text = llmproc::to_json(weather);
    Weather same = llmproc::from_json<Weather>(text);
    std::string schema = llmproc::json_schema_of<Weather>();
    require(llmproc::to_json(same) == text, "the same value");
    require(schema.find("celsius") != std::string::npos, "a schema");
}

boost::asio::awaitable<int> coroutine(llmproc::LLMProgram program) {
    auto process = co_await program.start();
    auto weather = co_await process.run_as<Weather>("The weather in Paris?");
    require(weather.city == "Paris", "the answer's value");
    co_await process.aclose();
    co_return 0;
}

}  // namespace

int main() {
    try {
        json();
        llmproc::testing::ScriptedServer server;
        const auto program = llmproc::LLMProgram::from_toml_string(
            "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\nbase_url = \"" +
                server.base_url() + "\"\n[connection]\nca_file = \"" + server.ca_file() + "\"\n",
            "typed_answers.toml"
        );
        const auto answer = llmproc::testing::openai_chat_reply(
            R"({"city":"Paris","celsius":21.5,"sky":"rain","warning":null})"
        );
        for (int i = 0; i < 2; ++i) {
            server.push(answer);
        }
        for (int i = 0; i < 3; ++i) {
            server.push(llmproc::testing::openai_chat_reply("It has sunk."));
        }
        server.push(answer);
        auto process = program.start_sync();
        value(process);
        with_result(process);
        invalid(process);
        return llmproc::run_main(coroutine(program));
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
