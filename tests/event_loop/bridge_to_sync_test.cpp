#include "event_loop/bridge_support.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace llmproc::testing {
namespace {

// ---- 2.8: to_sync

class Page {
public:
    explicit Page(std::string text) : text_(std::move(text)) {}
    asio::awaitable<std::string> line(int number) const {
        co_await turns(1);
        co_return text_ + std::to_string(number);
    }
    asio::awaitable<void> rename(std::string text) {
        co_await turns(1);
        text_ = std::move(text);
    }

private:
    std::string text_;
};

asio::awaitable<std::string> fetch(std::string name, int times) {
    co_await turns(1);
    std::string text;
    for (int i = 0; i < times; ++i) {
        text += name;
    }
    co_return text;
}
asio::awaitable<std::size_t> length(const std::string& text) {
    co_await turns(3);
    co_return text.size();
}
asio::awaitable<std::unique_ptr<int>> grown(std::unique_ptr<int> number) {
    co_await turns(1);
    ++*number;
    co_return std::move(number);
}
asio::awaitable<void> increment(int& number) {
    co_await turns(1);
    ++number;
}
asio::awaitable<std::reference_wrapper<int>> wrapped_reference(std::reference_wrapper<int> number) {
    co_await turns(1);
    co_return number;
}

template <typename F, typename... Arguments>
concept CallableSync = requires(F f, Arguments... arguments) {
    to_sync(f)(arguments...);
};
template <typename T>
concept RunsSync = requires(asio::awaitable<T> body) {
    run_sync(std::move(body));
};

static_assert(std::is_same_v<decltype(to_sync(fetch)("a", 1)), std::string>);
static_assert(std::is_same_v<decltype(to_sync(increment)(std::ref(std::declval<int&>()))), void>);
static_assert(std::is_same_v<decltype(to_sync(&Page::line)(Page("a"), 1)), std::string>);
static_assert(std::is_same_v<
              decltype(to_sync(wrapped_reference)(std::ref(std::declval<int&>()))),
              std::reference_wrapper<int>>);
static_assert(CallableSync<decltype(&fetch), const char*, int>);
static_assert(!CallableSync<decltype(&fetch), int>);
static_assert(!CallableSync<decltype(&fetch), const char*, const char*>);
static_assert(
    !CallableSync<asio::awaitable<int&> (*)()>,
    "a reference may outlive what it refers to"
);
static_assert(!CallableSync<decltype(&increment), int&>, "the copy would be changed, unseen");
static_assert(!CallableSync<int (*)()>, "nothing to wait for");
static_assert(RunsSync<int> && RunsSync<void> && RunsSync<std::unique_ptr<int>>);
static_assert(RunsSync<std::reference_wrapper<int>>);
static_assert(!RunsSync<int&> && !RunsSync<const int&>);

TEST(BridgeTest, A2_8_FunctionsLambdasAndMembers) {
    const auto fetch_now = to_sync(fetch);
    EXPECT_EQ(fetch_now("ab", 2), "abab");
    EXPECT_EQ(fetch_now(std::string("x"), 3), "xxx");
    const std::string prefix = "pre-";
    const auto prefixed = to_sync([prefix](std::string text) -> asio::awaitable<std::string> {
        co_await turns(1);
        co_return prefix + text;
    });
    EXPECT_EQ(prefixed("fix"), "pre-fix");
    Page page("line ");
    const auto line = to_sync(&Page::line);
    EXPECT_EQ(line(&page, 1), "line 1");
    EXPECT_EQ(line(std::cref(page), 2), "line 2");
    EXPECT_EQ(line(page, 3), "line 3");
    to_sync (&Page::rename)(std::ref(page), "new ");
    EXPECT_EQ(line(&page, 4), "new 4");
}

TEST(BridgeTest, A2_8_ArgumentsLiveAsLongAsTheCoroutine) {
    const auto length_now = to_sync(length);
    EXPECT_EQ(length_now("a temporary that is long enough for the heap"), 44U);
    std::unique_ptr<int> number = to_sync(grown)(std::make_unique<int>(1));
    EXPECT_EQ(*number, 2);
    number = to_sync(
        [counter = std::move(number)](int by) -> asio::awaitable<std::unique_ptr<int>> {
            co_await turns(1);
            co_return std::make_unique<int>(*counter + by);
        }
    )(10);
    EXPECT_EQ(*number, 12);
}

TEST(BridgeTest, A2_8_ReferencesOnlyWhenAskedFor) {
    int number = 1;
    to_sync(increment)(std::ref(number));
    EXPECT_EQ(number, 2);
    EXPECT_EQ(&to_sync(wrapped_reference)(std::ref(number)).get(), &number);
}

TEST(BridgeTest, A2_8_ThrowingFunctions) {
    EXPECT_THROW(to_sync(throwing<Odd>)(Odd()), Odd);
    const auto refuses = to_sync([](int) -> asio::awaitable<int> {
        throw std::invalid_argument("before it became a coroutine");
    });
    EXPECT_THROW(refuses(1), std::invalid_argument);
}

TEST(BridgeTest, A2_8_OnALoopOfYourOwn) {
    const EventLoop loop;
    const auto where = to_sync(loop, loop_thread);
    EXPECT_EQ(where(), loop.thread_id());
    EXPECT_EQ(to_sync(loop_thread)(), EventLoop::global().thread_id());
}

}  // namespace
}  // namespace llmproc::testing
