#include "loop_goals.hpp"

#include "contest.hpp"
#include "counting.hpp"

#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

constexpr unsigned rounds = 5;

std::string first_words(const std::string& name, const std::string& unit, double a, double b) {
    std::ostringstream note;
    note.precision(3);
    note << a << ' ' << unit << "; " << name << ' ' << b << ' ' << unit;
    return note.str();
}

/// Ours and the one by hand, in turns.
struct Pair {
    std::string label;
    std::string kind;
    std::string by_hand;
    std::uint64_t calls = 0;
    Bound must;
    Bound aim;
};

/// CPU and wall time of ours, to those by hand.
std::vector<Goal> time_goals(
    const Pair& pair,
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
) {
    return or_say_why(pair.label, [&]() -> std::vector<Goal> {
        const std::vector<Contestant> contestants{
            {"own", pair.kind, 1, pair.calls, plan.both},
            {"by hand", pair.by_hand, 1, pair.calls, plan.both},
        };
        const Turns turns = compete(client_of(programs), server, contestants, rounds);
        const std::vector<Turn>& own = turns.at("own");
        const std::vector<Turn>& hand = turns.at("by hand");
        return {
            {pair.label + ": CPU, to by hand",
             best_cpu(own) / best_cpu(hand),
             pair.must,
             pair.aim,
             first_words("by hand", "us", best_cpu(own), best_cpu(hand))},
            {pair.label + ": time, to by hand",
             1 / rate_ratio(own, hand),
             pair.must,
             pair.aim,
             first_words("by hand", "us", 1e6 / median_rate(own), 1e6 / median_rate(hand))},
        };
    });
}

/// Instructions of ours, to those by hand.
std::vector<Goal> instruction_goals(
    const Pair& pair,
    const std::filesystem::path& programs,
    const Server& server
) {
    return or_say_why(pair.label, [&]() -> std::vector<Goal> {
        const std::string client = counted_client_of(programs);
        const Counts own = per_call(client, server, {pair.kind});
        const Counts hand = per_call(client, server, {pair.by_hand});
        std::ostringstream note;
        note << static_cast<int>(own.instructions) << "; by hand "
             << static_cast<int>(hand.instructions) << "; mallocs " << own.mallocs << "; "
             << hand.mallocs;
        return {
            {pair.label + ": instructions, to by hand",
             own.instructions / hand.instructions,
             pair.must,
             pair.aim,
             note.str()}};
    });
}

std::vector<Goal> sharing_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
) {
    return or_say_why("64 threads, one loop", [&]() -> std::vector<Goal> {
        constexpr std::uint64_t many = 64;
        constexpr std::uint64_t calls = 25'000;
        const std::vector<Contestant> contestants{
            {"threads", "sync-threads", many, calls, plan.client},
            {"coroutines", "async-complete", many, calls, plan.client},
        };
        const Turns turns = compete(client_of(programs), server, contestants, rounds);
        const std::vector<Turn>& threads = turns.at("threads");
        const std::vector<Turn>& coroutines = turns.at("coroutines");
        return {
            {"64 threads, one loop: calls/s, to 64 coroutines",
             rate_ratio(threads, coroutines),
             at_least(0.50),
             at_least(0.75),
             first_words("coroutines", "us CPU", best_cpu(threads), best_cpu(coroutines))},
        };
    });
}

std::vector<Goal> probe_goals(const std::filesystem::path& programs) {
    const std::string probe = (programs / "llmproc-bench-probe").string();
    std::vector<Goal> goals = or_say_why("descriptors of a loop", [&]() -> std::vector<Goal> {
        std::istringstream printed(run({probe, "descriptors"}, {}).output);
        double own = 0;
        double hand = 0;
        if (!(printed >> own >> hand)) {
            throw std::runtime_error("the probe printed no numbers");
        }
        return {
            {"descriptors of a loop", own, at_most(3), at_most(3)},
            {"  the same by hand", hand, {}, {}, "for comparison"},
        };
    });
    const std::vector<Goal> idle = or_say_why("idle processes", [&]() -> std::vector<Goal> {
        std::istringstream printed(run({probe, "idle", "10000"}, {}).output);
        double mib = 0;
        if (!(printed >> mib)) {
            throw std::runtime_error("the probe printed no number");
        }
        return {{"MiB of 10,000 idle processes on one loop", mib, at_most(40), at_most(10)}};
    });
    goals.insert(goals.end(), idle.begin(), idle.end());
    return goals;
}

}  // namespace

std::vector<Goal> loop_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
) {
    const Pair
        bridge{"run_sync, nothing", "run-sync", "posted-wait", 50'000, at_most(1.3), at_most(1.0)};
    const Pair bare{"run_sync, hand without sockets", "run-sync", "posted-bare", 50'000, {}, {}};
    const Pair task{
        "create_task and await",
        "task-await",
        "spawn-await",
        500'000,
        at_most(2),
        at_most(1.3)};
    const Pair start{
        "loop, start and end",
        "loop-start",
        "thread-start",
        5'000,
        at_most(1.5),
        at_most(1.5)};
    const Pair
        queue{"Queue, thread to thread", "queue", "channel", 500'000, at_most(1.0), at_most(0.5)};
    std::vector<Goal> goals;
    const auto add = [&goals](const std::vector<Goal>& rows) {
        goals.insert(goals.end(), rows.begin(), rows.end());
    };
    add(time_goals(bridge, programs, server, plan));
    // For comparison: what epoll adds to a wake-up.
    add(time_goals(bare, programs, server, plan));
    // Without goals: what a hand-written wait costs is the kernel's, which nobody counts here.
    const Pair counted{bridge.label, bridge.kind, bridge.by_hand, 0, {}, {}};
    add(instruction_goals(counted, programs, server));
    add(instruction_goals(task, programs, server));
    add(time_goals(task, programs, server, plan));
    add(time_goals(start, programs, server, plan));
    add(time_goals(queue, programs, server, plan));
    add(sharing_goals(programs, server, plan));
    add(probe_goals(programs));
    return goals;
}

}  // namespace llmproc::bench
