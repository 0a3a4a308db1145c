/// @file
/// Processes that embed or list models, with a server that records what they send.
#pragma once

#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/recording_observer.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace llmproc::testing {

using Names = std::vector<std::string>;

class ProviderOperationsTest : public ::testing::Test {
protected:
    /// `more` begins in the table [connection].
    LLMProgram program(
        const std::string& provider,
        const std::string& embedding_model = "embeds",
        const std::string& more = ""
    ) {
        std::string text = "[model]\nname = \"chats\"\nprovider = \"" + provider +
                           "\"\nbase_url = \"" + server.base_url() +
                           "\"\napi_key = \"sk-test\"\nallow_inline_key = true\n";
        if (!embedding_model.empty()) {
            text += "embedding_model = \"" + embedding_model + "\"\n";
        }
        text += "[retry]\ninitial_delay = 0\n[connection]\nca_file = \"" + server.ca_file() +
                "\"\n" + more;
        return LLMProgram::from_toml_string(text, "test.toml").with_observer(observer);
    }

    /// Answers each request with one vector a text: its length, and the number of the request.
    void embed_lengths() {
        server.handle([this](const RecordedRequest& request) {
            const Json body = parse_json(request.body);
            Json data = Json::array();
            const auto number = static_cast<double>(++embedded);
            for (const Json& text : body.at("input")) {
                const auto length = static_cast<double>(text.get<std::string>().size());
                data.push_back({{"index", data.size()}, {"embedding", {length, number}}});
            }
            const auto tokens = data.size();
            return Reply::json(dump_json(
                {{"data", data},
                 {"model", body.at("model").get<std::string>() + "-1"},
                 {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}}
            ));
        });
    }

    Names targets() {
        Names all;
        for (const RecordedRequest& request : server.requests()) {
            all.push_back(request.method + " " + request.target);
        }
        return all;
    }

    ScriptedServer server;
    std::shared_ptr<RecordingObserver> observer = std::make_shared<RecordingObserver>();
    int embedded = 0;
};

/// The error of a call that must fail.
inline LLMError failure(const std::function<void()>& call) {
    try {
        call();
    } catch (const LLMError& error) {
        return error;
    }
    ADD_FAILURE() << "it succeeded";
    return {Errc::internal, "none"};
}

}  // namespace llmproc::testing
