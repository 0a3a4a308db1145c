#include "net/race_plan.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

namespace llmproc::net {
namespace {

using namespace std::chrono_literals;
using What = RaceMove::What;

Addresses addresses(const std::vector<std::string>& hosts) {
    Addresses list;
    for (const std::string& host : hosts) {
        list.emplace_back(boost::asio::ip::make_address(host), 443);
    }
    return list;
}

TEST(TakeTurnsTest, AlternatesTheFamiliesBeginningWithTheFirst) {
    EXPECT_EQ(
        take_turns(addresses({"::1", "::2", "::3", "10.0.0.1", "10.0.0.2"})),
        addresses({"::1", "10.0.0.1", "::2", "10.0.0.2", "::3"})
    );
    EXPECT_EQ(
        take_turns(addresses({"10.0.0.1", "10.0.0.2", "10.0.0.3", "::1"})),
        addresses({"10.0.0.1", "::1", "10.0.0.2", "10.0.0.3"})
    );
}

TEST(TakeTurnsTest, KeepsTheOrderOfOneFamilyAndDropsRepetitions) {
    EXPECT_EQ(
        take_turns(addresses({"10.0.0.2", "10.0.0.1", "10.0.0.2"})),
        addresses({"10.0.0.2", "10.0.0.1"})
    );
    EXPECT_TRUE(take_turns({}).empty());
}

class RacePlanTest : public ::testing::Test {
protected:
    void expect_start(RacePlan& plan, std::size_t index) {
        const RaceMove move = plan.next(now);
        EXPECT_EQ(move.what, What::start);
        EXPECT_EQ(move.index, index);
    }
    void expect_wait(RacePlan& plan, RaceMove::TimePoint until) {
        const RaceMove move = plan.next(now);
        EXPECT_EQ(move.what, What::wait);
        EXPECT_EQ(move.until, until);
    }

    RaceMove::TimePoint now{1000s};
};

TEST_F(RacePlanTest, StartsOneAttemptPerDelay) {
    RacePlan plan(3);
    expect_start(plan, 0);
    expect_wait(plan, now + connection_attempt_delay);
    now += connection_attempt_delay - 1ns;
    expect_wait(plan, now + 1ns);
    now += 1ns;
    expect_start(plan, 1);
    expect_wait(plan, now + connection_attempt_delay);
    now += 10s;
    expect_start(plan, 2);
    expect_wait(plan, RaceMove::TimePoint::max());
}

TEST_F(RacePlanTest, AFailureStartsTheNextAtOnce) {
    RacePlan plan(4);
    expect_start(plan, 0);
    plan.failed();
    expect_start(plan, 1);
    expect_wait(plan, now + connection_attempt_delay);
    now += 100ms;
    plan.failed();
    expect_start(plan, 2);
    // The delay counts from the last start.
    expect_wait(plan, now + connection_attempt_delay);
}

TEST_F(RacePlanTest, GivesUpOnlyWhenAllHaveFailed) {
    RacePlan plan(2);
    expect_start(plan, 0);
    now += connection_attempt_delay;
    expect_start(plan, 1);
    plan.failed();
    expect_wait(plan, RaceMove::TimePoint::max());
    plan.failed();
    EXPECT_EQ(plan.next(now).what, What::give_up);
}

TEST_F(RacePlanTest, WithoutAddressesThereIsNothingToDo) {
    EXPECT_EQ(RacePlan(0).next(now).what, What::give_up);
}

boost::system::error_code code(int number) {
    return {number, boost::system::system_category()};
}

TEST(MostUsefulRefusalTest, PrefersWhatTellsMost) {
    const Addresses hosts = addresses({"::1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"});
    MostUsefulRefusal refusal;
    refusal.add(code(ENETUNREACH), hosts[0]);
    EXPECT_EQ(refusal.get().address, "::1");
    refusal.add(code(EHOSTUNREACH), hosts[1]);
    EXPECT_EQ(refusal.get().address, "10.0.0.1");
    refusal.add(code(ECONNREFUSED), hosts[2]);
    refusal.add(code(ECONNREFUSED), hosts[3]);
    refusal.add(code(ENETUNREACH), hosts[0]);
    EXPECT_EQ(refusal.get().address, "10.0.0.2");
    EXPECT_EQ(refusal.get().error, boost::asio::error::connection_refused);
    refusal.add(code(EMFILE), hosts[4]);
    EXPECT_EQ(refusal.get().error.value(), EMFILE);
}

}  // namespace
}  // namespace llmproc::net
