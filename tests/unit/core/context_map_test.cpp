#include <llmproc/context_map.hpp>
#include <llmproc/run_options.hpp>
#include "core/current_context.hpp"

#include <gtest/gtest.h>

#include <any>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using namespace std::string_literals;

TEST(ContextMapTest, IsEmptyAtFirst) {
    const ContextMap map;
    EXPECT_TRUE(map.empty());
    EXPECT_EQ(map.find("x"), nullptr);
    EXPECT_EQ(map.log_fields(), "");
}

TEST(ContextMapTest, AddingMakesANewMap) {
    const ContextMap one = ContextMap().with("a", 1);
    const ContextMap two = one.with("b", 2);
    EXPECT_EQ(one.find("b"), nullptr);
    ASSERT_NE(two.get<int>("a"), nullptr);
    EXPECT_EQ(*two.get<int>("a"), 1);
    EXPECT_EQ(*two.get<int>("b"), 2);
    EXPECT_EQ(one.find("a"), two.find("a")) << "the rest is shared";
}

TEST(ContextMapTest, ALaterEntryHidesAnEarlierOne) {
    const ContextMap first = ContextMap().with("a", "1"s).with("b", "2"s).with("c", "3"s);
    const ContextMap second = first.with("b", "4"s);
    EXPECT_EQ(*first.get<std::string>("b"), "2");
    EXPECT_EQ(*second.get<std::string>("b"), "4");
    EXPECT_EQ(first.log_fields(), "a=1 b=2 c=3");
    EXPECT_EQ(second.log_fields(), "a=1 c=3 b=4");
}

TEST(ContextMapTest, AnEntryThatIsSetAgainAndAgainIsHeldOnce) {
    const auto value = std::make_shared<int>(7);
    ContextMap map = ContextMap().with("other", value);
    for (int i = 0; i < 100; ++i) {
        map = map.with("step", std::make_shared<int>(i)).with("other", value);
    }
    EXPECT_EQ(**map.get<std::shared_ptr<int>>("step"), 99);
    EXPECT_EQ(value.use_count(), 2) << "hidden entries are let go of";
}

TEST(ContextMapTest, AValueOfAnotherTypeIsNotFound) {
    const ContextMap map = ContextMap().with("a", 1);
    EXPECT_EQ(map.get<std::string>("a"), nullptr);
    EXPECT_NE(map.find("a"), nullptr);
}

TEST(ContextMapTest, TextsAreKeptAsStrings) {
    std::string gone = "view";
    const ContextMap map = ContextMap()
                               .with("literal", "text")
                               .with("view", std::string_view(gone))
                               .with("null", static_cast<const char*>(nullptr));
    gone = "xxxx";
    EXPECT_EQ(*map.get<std::string>("literal"), "text");
    EXPECT_EQ(*map.get<std::string>("view"), "view");
    EXPECT_EQ(*map.get<std::string>("null"), "");
}

TEST(ContextMapTest, OnlyTextsAreLogFields) {
    const ContextMap map =
        ContextMap().with("trace", "7"s).with("object", 5).with("task", "heartbeat"s);
    EXPECT_EQ(map.log_fields(), "trace=7 task=heartbeat");
}

TEST(ContextMapTest, ALogFieldCannotPassForAnother) {
    const ContextMap map = ContextMap()
                               .with("a", "one two"s)
                               .with("b", "x\ny\x01z\x7f"s)
                               .with("c", "say \"hi\"\\"s)
                               .with("d", "v=w"s)
                               .with("e", ""s)
                               .with("f g\n=", "plain"s)
                               .with("h", "\xc3\xa9\\"s);
    EXPECT_EQ(
        map.log_fields(),
        "a=\"one two\" b=\"x y z \" c=\"say \\\"hi\\\"\\\\\" d=\"v=w\" e=\"\" f_g__=plain "
        "h=\xc3\xa9\\"
    );
}

TEST(ContextMapTest, TheCurrentOneFollowsTheScopes) {
    EXPECT_TRUE(current_context().empty());
    {
        const ContextScope outer(ContextMap().with("a", 1));
        EXPECT_EQ(*current_context().get<int>("a"), 1);
        {
            const ContextScope inner(current_context().with("a", 2));
            EXPECT_EQ(*current_context().get<int>("a"), 2);
        }
        EXPECT_EQ(*current_context().get<int>("a"), 1);
        {
            const CurrentContext none(nullptr);
            EXPECT_TRUE(current_context().empty());
        }
        EXPECT_EQ(*current_context().get<int>("a"), 1);
    }
    EXPECT_TRUE(current_context().empty());
}

TEST(ContextMapTest, TheCurrentOneBelongsToItsThread) {
    const ContextScope scope(ContextMap().with("a", 1));
    bool empty = false;
    std::thread other([&empty] { empty = current_context().empty(); });
    other.join();
    EXPECT_TRUE(empty);
}

TEST(ContextMapTest, ACopyOutlivesItsScope) {
    const auto value = std::make_shared<int>(3);
    ContextMap kept;
    {
        const ContextScope scope(ContextMap().with("a", value));
        kept = current_context();
    }
    EXPECT_EQ(*kept.get<std::shared_ptr<int>>("a"), value);
    kept = ContextMap();
    EXPECT_EQ(value.use_count(), 1);
}

TEST(ContextMapTest, WhatBeginsCapturesTheThreadsContextUnlessItIsGivenOne) {
    const ContextMap given = ContextMap().with("a", "given"s);
    EXPECT_EQ(context_to_begin_with(given).log_fields(), "a=given");
    EXPECT_TRUE(context_to_begin_with(ContextMap()).empty());
    const std::string mark = mark_prefix + "x"s;
    const ContextScope scope(ContextMap().with("b", "current"s).with(mark, true));
    EXPECT_EQ(context_to_begin_with(ContextMap()).log_fields(), "b=current");
    const ContextMap both = context_to_begin_with(given);
    EXPECT_EQ(both.log_fields(), "a=given");
    EXPECT_NE(both.find(mark), nullptr) << "a mark of the library cannot be replaced";
}

TEST(ContextMapTest, ManyThreadsMayShareOne) {
    const ContextMap shared = ContextMap().with("a", "1"s).with("b", 2);
    std::vector<std::thread> threads;
    std::vector<std::string> seen(4);
    for (std::string& mine : seen) {
        threads.emplace_back([&mine, &shared] {
            for (int i = 0; i < 500; ++i) {
                const ContextMap copy = shared.with("a", std::to_string(i));
                mine = copy.log_fields() + " " + shared.log_fields();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(seen, std::vector<std::string>(4, "a=499 a=1"));
}

TEST(ContextMapTest, OptionsOfACallCarryOne) {
    const RunOptions options = RunOptions().context("trace", "7").context("user", 5);
    EXPECT_EQ(options.context().log_fields(), "trace=7");
    EXPECT_EQ(*options.context().get<int>("user"), 5);
    const RunOptions other = RunOptions().context("a", 1).context(options.context());
    EXPECT_EQ(other.context().find("a"), nullptr);
}

}  // namespace
}  // namespace llmproc
