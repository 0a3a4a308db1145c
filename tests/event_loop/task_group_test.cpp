// Tasks that belong together, and tasks that say when they are ready.
#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/task.hpp>
#include <llmproc/task_group.hpp>
#include "event_loop/task_support.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace llmproc::test {

namespace {

asio::awaitable<void> fail_after(Gate gate, std::string text) {
    co_await gate.passed();
    throw std::runtime_error(text);
}

asio::awaitable<void> wait_and_note(Flag begun, std::shared_ptr<std::string> note) {
    bool cancelled = false;
    begun.raise();
    try {
        co_await wait_for_ever();
    } catch (const boost::system::system_error&) {
        cancelled = true;
    }
    if (cancelled) {
        *note += "cleaned up;";
        throw Cancelled(CancelReason::user);
    }
}

asio::awaitable<void> join(std::shared_ptr<TaskGroup> group) {
    co_await group->join();
}

asio::awaitable<void> cancel_and_join(std::shared_ptr<TaskGroup> group) {
    co_await group->cancel_and_join(CancelReason::shutdown);
}

asio::awaitable<void> add_one_more(std::shared_ptr<TaskGroup> group, Gate gate, Flag added) {
    co_await gate.passed();
    const Gate open;
    open.open();
    const Task<int> more = group->create_task(pass(open, 1));
    const int value = co_await more.result();
    EXPECT_EQ(value, 1);
    added.raise();
}

TEST(LoopTest, A3_20_GroupJoinWaitsForAllAndForThoseAddedMeanwhile) {
    const EventLoop loop;
    const EventLoop other;
    auto group = std::make_shared<TaskGroup>(loop);
    const Gate gate;
    const Flag added;
    group->create_task(add_one_more(group, gate, added));
    const Task<int> plain = group->create_task(pass(gate, 2), "plain");
    EXPECT_EQ(group->size(), 2U);
    const Task<void> joining = other.create_task(join(group));
    flush(other);
    EXPECT_FALSE(joining.done());
    gate.open();
    joining.get();
    EXPECT_TRUE(added.raised());
    EXPECT_EQ(plain.get(), 2);
    EXPECT_EQ(group->size(), 0U);
    EXPECT_EQ(code_of([&group] { group->create_task(value_of(1)); }), Errc::invalid_argument);
}

TEST(LoopTest, A3_20_GroupsFirstErrorCancelsTheOthersWhichAreWaitedFor) {
    const EventLoop loop;
    const Reports reports(loop);
    auto group = std::make_shared<TaskGroup>(loop);
    const Gate gate;
    const Flag begun;
    auto note = std::make_shared<std::string>();
    const Task<void> sibling = group->create_task(wait_and_note(begun, note));
    group->create_task(fail_after(gate, "first"), "failing");
    const Task<void> joining = loop.create_task(join(group));
    begun.wait();
    gate.open();
    try {
        joining.get();
        FAIL() << "the error was lost";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "first");
    }
    EXPECT_EQ(*note, "cleaned up;");
    EXPECT_EQ(reason_of([&sibling] { sibling.get(); }), CancelReason::sibling);
    EXPECT_TRUE(reports.names().empty());
}

asio::awaitable<void> fail_when_cancelled(Flag begun) {
    try {
        co_await raise_and_wait_for_ever(begun);
    } catch (const boost::system::system_error&) {
        throw std::logic_error("second");
    }
}

TEST(LoopTest, A3_20_GroupsLaterErrorsAreReported) {
    const EventLoop loop;
    const Reports reports(loop);
    auto group = std::make_shared<TaskGroup>(loop);
    const Gate gate;
    const Flag begun;
    group->create_task(fail_when_cancelled(begun), "later");
    group->create_task(fail_after(gate, "first"), "earlier");
    begun.wait();
    gate.open();
    EXPECT_THROW(loop.create_task(join(group)).get(), std::runtime_error);
    reports.wait_for(1);
    EXPECT_EQ(reports.names(), std::vector<std::string>{"later"});
}

TEST(LoopTest, A3_20_CancelledJoinCancelsTheGroupAndWaits) {
    const EventLoop loop;
    auto group = std::make_shared<TaskGroup>(loop);
    const Flag begun;
    auto note = std::make_shared<std::string>();
    group->create_task(wait_and_note(begun, note));
    const Task<void> joining = loop.create_task(join(group));
    begun.wait();
    flush(loop);
    joining.cancel(CancelReason::signal);
    joining.cancel();
    EXPECT_EQ(reason_of([&joining] { joining.get(); }), CancelReason::signal);
    EXPECT_EQ(*note, "cleaned up;");
    EXPECT_EQ(group->size(), 0U);
}

TEST(LoopTest, A3_20_CancelAndJoinThrowsNothingOfTheTasksButReportsThem) {
    const EventLoop loop;
    const Reports reports(loop);
    auto group = std::make_shared<TaskGroup>(loop);
    const Flag begun;
    group->create_task(fail_when_cancelled(begun), "failing");
    begun.wait();
    loop.create_task(cancel_and_join(group)).get();
    reports.wait_for(1);
    EXPECT_THROW(std::rethrow_exception(reports.error(0)), std::logic_error);
    EXPECT_EQ(code_of([&group] { group->create_task(value_of(1)); }), Errc::invalid_argument);
}

TEST(LoopTest, A3_6_GroupsEndCancelsWhatIsLeft) {
    const EventLoop loop;
    const Flag begun;
    Task<void> task;
    {
        TaskGroup group(loop);
        task = group.create_task(raise_and_wait_for_ever(begun));
        begun.wait();
    }
    EXPECT_EQ(reason_of([&task] { task.get(); }), CancelReason::abandoned);
}

asio::awaitable<void> serve(Gate set_up, Flag ended, Ready ready) {
    const RaisesAtEnd end(ended);
    co_await set_up.passed();
    ready();
    ready();
    co_await wait_for_ever();
}

asio::awaitable<void> spawn_and_stop(EventLoop loop, Gate set_up, Flag ended) {
    std::function<asio::awaitable<void>(Ready)> body = [set_up, ended](Ready ready) {
        return serve(set_up, ended, std::move(ready));
    };
    const Task<void> server = co_await spawn_ready(loop, std::move(body), "server");
    EXPECT_FALSE(server.done());
    EXPECT_EQ(server.name(), "server");
    co_await server.cancel_and_join();
    EXPECT_TRUE(ended.raised());
}

TEST(LoopTest, A3_10_SpawnReadyReturnsWhenTheTaskIsReady) {
    const EventLoop loop;
    const EventLoop other;
    const Gate set_up;
    const Flag ended;
    const Task<void> spawning = loop.create_task(spawn_and_stop(other, set_up, ended));
    flush(loop);
    flush(other);
    EXPECT_FALSE(spawning.done());
    set_up.open();
    spawning.get();
}

TEST(LoopTest, A3_10_SpawnReadyIsCancelledTogetherWithItsTask) {
    const EventLoop loop;
    const Gate never;
    const Flag ended;
    const Task<void> spawning = loop.create_task(spawn_and_stop(loop, never, ended));
    flush(loop);
    flush(loop);
    spawning.cancel();
    EXPECT_EQ(reason_of([&spawning] { spawning.get(); }), CancelReason::user);
    EXPECT_TRUE(ended.raised()) << "it waits for the end of the task";
}

asio::awaitable<void> never_ready(Ready /*ready*/) {
    co_return;
}

asio::awaitable<void> fails_early(Ready /*ready*/) {
    co_await next_turn();
    throw std::runtime_error("no port");
}

asio::awaitable<void> spawn(EventLoop loop, std::function<asio::awaitable<void>(Ready)> body) {
    const Task<void> task = co_await spawn_ready(std::move(loop), std::move(body), "early");
    EXPECT_TRUE(static_cast<bool>(task));
}

TEST(LoopTest, A3_10_SpawnReadyThrowsWhatEndsTheTaskBefore) {
    const EventLoop loop;
    EXPECT_THROW(loop.create_task(spawn(loop, fails_early)).get(), std::runtime_error);
    EXPECT_EQ(
        code_of([&loop] { loop.create_task(spawn(loop, never_ready)).get(); }),
        Errc::invalid_argument
    );
}

}  // namespace

}  // namespace llmproc::test
