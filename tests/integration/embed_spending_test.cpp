// Costs and limits of embeddings.
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/local_server.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace llmproc {
namespace {

using testing::program_text;
using testing::RecordedRequest;
using testing::Reply;
using testing::ScriptedServer;
using testing::write_file;

class EmbedSpendingTest : public ::testing::Test {
protected:
    /// Two texts a request, and 100 tokens for each; a dollar for a thousand tokens.
    SyncLLMProcess process(const std::string& limits, bool priced = true) {
        write_file(
            folder.path() / "prices.toml",
            "[[price]]\nprovider = \"openai_compatible\"\n"
            "model = [\"test-model\", \"test-embeddings\"]\ninput = 1000\noutput = 0\n"
        );
        const std::string file = (folder.path() / "prices.toml").string();
        std::string text = program_text(server, limits);
        if (priced) {
            text.insert(std::string("[model]\n").size(), "prices_file = \"" + file + "\"\n");
        }
        server.handle([](const RecordedRequest& request) {
            Json data = Json::array();
            const Json body = parse_json(request.body);
            for (const Json& one : body.at("input")) {
                data.push_back(
                    {{"index", data.size()}, {"embedding", Json::array({one.dump().size()})}}
                );
            }
            const auto tokens = 100 * data.size();
            return Reply::json(dump_json(
                {{"data", data}, {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}}
            ));
        });
        return LLMProgram::from_toml_string(text, "test.toml").start_sync();
    }

    static EmbedRequest three() {
        EmbedRequest request({"a", "b", "c"});
        request.batch = 2;
        return request;
    }

    static std::string refusal(SyncLLMProcess& process) {
        try {
            process.embed(three());
            ADD_FAILURE() << "was let through";
            return "";
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::budget_exhausted) << error.what();
            return error.message();
        }
    }

    const testing::Folder folder;
    ScriptedServer server;
};

TEST_F(EmbedSpendingTest, EmbeddingsArePartOfUsageAndCost) {
    SyncLLMProcess process = this->process("");
    EXPECT_EQ(process.embed(three()).usage.input_tokens, 300);
    EXPECT_EQ(process.stats().usage.input_tokens, 300);
    EXPECT_EQ(process.stats().unpriced, 0U);
    EXPECT_DOUBLE_EQ(process.stats().cost.value_or(Cost()).usd, 0.3);
    EXPECT_EQ(process.stats().runs, 0U);
}

TEST_F(EmbedSpendingTest, WithoutAPriceTheyHaveNoCost) {
    SyncLLMProcess process = this->process("", false);
    process.embed(three());
    EXPECT_EQ(process.stats().unpriced, 2U);
    EXPECT_EQ(process.stats().cost, std::nullopt);
}

TEST_F(EmbedSpendingTest, EachRequestCountsForTheLimits) {
    SyncLLMProcess requests = process("[limits.process]\nmax_requests = 3\n");
    requests.embed(three());
    EXPECT_NE(refusal(requests).find("limits.process.max_requests = 3"), std::string::npos);
    EXPECT_EQ(server.requests().size(), 3U);

    SyncLLMProcess tokens = process("[limits.run]\nmax_tokens = 200\n");
    EXPECT_NE(refusal(tokens).find("limits.run.max_tokens = 200"), std::string::npos);

    SyncLLMProcess costs = process("[limits.process]\nmax_cost_usd = 0.3\n");
    costs.embed(three());
    EXPECT_NE(refusal(costs).find("max_cost_usd = 0.3"), std::string::npos);
}

}  // namespace
}  // namespace llmproc
