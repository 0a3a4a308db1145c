#include "runtime/member_list.hpp"

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <vector>

namespace llmproc {
namespace {

class Member final : public LoopMember {
public:
    explicit Member(bool in_order, bool is_counted = true)
        : in_order_(in_order),
          counted_(is_counted) {}
    bool ends_in_order() const noexcept override { return in_order_; }
    bool counted() const noexcept override { return counted_; }
    void loop_ended(std::exception_ptr) noexcept override {}

private:
    const bool in_order_;
    const bool counted_;
};

/// Forgets from a list of its own, as a loop does.
class Home final : public MemberHome {
public:
    void forget(const LoopMember& member) noexcept override { list.remove(member); }
    MemberList list;
};

TEST(MemberListTest, RemovesAnyMemberOnce) {
    MemberList list;
    std::vector<std::shared_ptr<Member>> members;
    for (int i = 0; i < 5; ++i) {
        members.push_back(std::make_shared<Member>(i % 2 == 0));
        list.add(members.back(), {});
    }
    for (const std::size_t place : {1U, 0U, 4U, 2U, 3U}) {
        EXPECT_EQ(list.remove(*members[place]), members[place]);
        EXPECT_EQ(list.remove(*members[place]), nullptr);
    }
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.calls() + list.tasks(), 0U);
}

TEST(MemberListTest, CountsCallsAndTasks) {
    MemberList list;
    list.add(std::make_shared<Member>(true), {});
    list.add(std::make_shared<Member>(false), {});
    list.add(std::make_shared<Member>(false), {});
    list.add(std::make_shared<Member>(false, false), {});
    EXPECT_EQ(list.tasks(), 1U);
    EXPECT_EQ(list.calls(), 2U);
    EXPECT_EQ(list.take_all().size(), 4U);
    EXPECT_EQ(list.tasks() + list.calls(), 0U);
}

TEST(MemberListTest, KeepsThePlacesOfThoseThatEndInOrder) {
    MemberList list;
    std::vector<std::shared_ptr<Member>> members;
    for (int i = 0; i < 6; ++i) {
        members.push_back(std::make_shared<Member>(i % 2 == 1));
        list.add(members.back(), {});
    }
    EXPECT_EQ(list.take_unordered().size(), 3U);
    EXPECT_EQ(list.all().size(), 3U);
    EXPECT_EQ(list.remove(*members[0]), nullptr);
    EXPECT_EQ(list.remove(*members[1]), members[1]);
    EXPECT_EQ(list.remove(*members[5]), members[5]);
    EXPECT_EQ(list.remove(*members[3]), members[3]);
    EXPECT_TRUE(list.empty());
}

TEST(MemberListTest, MembersOutliveTheirHome) {
    auto home = std::make_shared<Home>();
    const auto member = std::make_shared<Member>(true);
    home->list.add(member, home);
    member->leave_loop();
    EXPECT_TRUE(home->list.empty());
    home.reset();
    member->leave_loop();
}

}  // namespace
}  // namespace llmproc
