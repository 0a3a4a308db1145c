#include "provider_goals.hpp"

#include "contest.hpp"
#include "counting.hpp"
#include "replies.hpp"
#include "workload.hpp"

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace llmproc::bench {

namespace {

constexpr std::uint64_t many = 64;
constexpr std::uint64_t stream_tokens = 100'000;

/// What the measurements of this part share.
struct Bench {
    const std::filesystem::path& programs;
    const Server& server;
    const Plan& plan;
    unsigned rounds;

    Turns compete(const std::vector<Contestant>& contestants) const {
        return bench::compete(client_of(programs), server, contestants, rounds);
    }
};

std::string two_costs(double own, std::string_view name, double other) {
    std::ostringstream note;
    note.precision(3);
    note << own << " us; " << name << ' ' << other << " us";
    return note.str();
}

std::vector<Goal> encode_goals(const Bench& bench, const std::string& codec) {
    return or_say_why("encode of 1,000 turns: " + codec, [&]() -> std::vector<Goal> {
        constexpr std::uint64_t turns = 1'000;
        constexpr std::uint64_t few = 250;
        constexpr std::uint64_t calls = 200;
        constexpr std::uint64_t warm_up = 20;
        const std::string kind = "encode-" + codec;
        const Turns done = bench.compete({
            {"encode", kind, turns, calls, bench.plan.client, warm_up},
            {"copy", "copy-" + codec, turns, calls, bench.plan.client, warm_up},
            {"few", kind, few, calls * 4, bench.plan.client, warm_up},
        });
        const double encode = best_cpu(done.at("encode"));
        const double copy = best_cpu(done.at("copy"));
        const double growth = encode / turns / (best_cpu(done.at("few")) / few);
        return {
            {"1,000 turns, 4 MB, second encode, to memcpy: " + codec,
             encode / copy,
             at_most(10),
             at_most(2),
             two_costs(encode, "memcpy", copy)},
            {"  per turn, 1,000 turns to 250", growth, {}, {}, "the caches' share included"},
        };
    });
}

/// A whole call at the end of a long conversation.
std::vector<Goal> history_goals(const Bench& bench) {
    return or_say_why("runs of a long conversation", [&]() -> std::vector<Goal> {
        constexpr std::uint64_t turns = 1'000;
        constexpr std::uint64_t few = 250;
        constexpr std::uint64_t calls = 20;
        const Turns done = bench.compete({
            {"many", "run-history", 1, calls, bench.plan.client, turns},
            {"few", "run-history", 1, calls, bench.plan.client, few},
        });
        const double long_one = best_cpu(done.at("many")) / (turns + calls / 2.0);
        const double short_one = best_cpu(done.at("few")) / (few + calls / 2.0);
        const Turn counted = turn_of_client(
            counted_client_of(bench.programs),
            bench.server,
            {"counted", "run-history", 1, calls, bench.plan.client, turns}
        );
        const double sent = (turns + calls / 2.0) * conversation_turn_bytes;
        return {
            {"run of a conversation: CPU per byte, 1,000 turns to 250",
             long_one / short_one,
             at_most(1.5),
             at_most(1.1),
             two_costs(best_cpu(done.at("many")), "250 turns", best_cpu(done.at("few")))},
            {"  memory asked for, to what is sent",
             counted.bytes / sent,
             at_most(3),
             at_most(1.25),
             "1 = one copy of the request"},
        };
    });
}

std::vector<Goal> token_goals(const Bench& bench, const std::string& codec) {
    return or_say_why("callgrind: a token, " + codec, [&]() -> std::vector<Goal> {
        const Counts counts =
            per_call(counted_client_of(bench.programs), bench.server, {"stream-bulk-" + codec});
        return {
            {"instructions per token, bulk, next(): " + codec,
             counts.instructions,
             at_most(10'000),
             at_most(5'000)},
            {"mallocs per token, bulk, next(): " + codec, counts.mallocs, at_most(4), at_most(1)},
        };
    });
}

std::vector<Goal> stream_goals(
    const Bench& bench,
    const std::string& shape,
    const std::string& codec,
    Bound must,
    Bound aim
) {
    const std::string what = "100,000 tokens, " + shape + ", tokens/s, to the SDK: " + codec;
    return or_say_why(what, [&]() -> std::vector<Goal> {
        constexpr std::uint64_t warm_up = 20'000;
        const std::string kind = "stream-" + shape + "-" + codec;
        const Turns done = bench.compete({
            {"own", kind, 1, stream_tokens, bench.plan.client, warm_up},
            {"sdk", "node-" + kind, 1, stream_tokens, bench.plan.client, warm_up},
        });
        const std::vector<Turn>& own = done.at("own");
        const std::vector<Turn>& sdk = done.at("sdk");
        std::ostringstream note;
        note.precision(3);
        note << median_rate(own) / 1000 << " k/s; SDK " << median_rate(sdk) / 1000 << " k/s; CPU "
             << best_cpu(own) << " us; SDK " << best_cpu(sdk) << " us";
        return {{what, rate_ratio(own, sdk), must, aim, note.str()}};
    });
}

std::vector<Goal> call_goals(const Bench& bench, const std::string& codec) {
    const std::string what = "CPU of the SDK on Node per typed call, to ours: " + codec;
    return or_say_why(what, [&]() -> std::vector<Goal> {
        const std::string kind = "complete-" + codec;
        const Turns done = bench.compete({
            {"own", kind, many, 20'000, bench.plan.client},
            {"sdk", "node-" + kind, many, 3'000, bench.plan.client},
        });
        const double own = best_cpu(done.at("own"));
        const double sdk = best_cpu(done.at("sdk"));
        return {{what, sdk / own, at_least(15), at_least(40), two_costs(own, "SDK", sdk)}};
    });
}

std::vector<Goal> typed_wrk_goals(const Bench& bench) {
    const std::string what = "typed call, 64 connections: calls/s, to wrk";
    return or_say_why(what, [&]() -> std::vector<Goal> {
        if (find_program("wrk").empty()) {
            throw std::runtime_error("wrk is not installed");
        }
        const Turns done = bench.compete({
            {"wrk", "wrk", many, 0, bench.plan.client},
            {"own", "complete-openai_chat", many, 25'000, bench.plan.client},
        });
        const double own = best_cpu(done.at("own"));
        const double wrk = best_cpu(done.at("wrk"));
        return {
            {what, rate_ratio(done.at("own"), done.at("wrk")), at_least(0.45), at_least(0.75)},
            {"  CPU, to wrk", own / wrk, {}, {}, two_costs(own, "wrk", wrk)},
        };
    });
}

}  // namespace

std::vector<Goal> provider_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan,
    unsigned rounds
) {
    const Bench bench{programs, server, plan, rounds};
    std::vector<Goal> goals;
    const auto add = [&goals](const std::vector<Goal>& rows) {
        goals.insert(goals.end(), rows.begin(), rows.end());
    };
    const std::string chat = "openai_chat";
    add(stream_goals(bench, "bulk", chat, at_least(12), at_least(22)));
    add(stream_goals(bench, "coalesced", chat, at_least(4), at_least(6)));
    for (const Protocol& protocol : protocols) {
        if (protocol.codec != chat) {
            add(stream_goals(bench, "bulk", std::string(protocol.codec), {}, {}));
        }
    }
    for (const Protocol& protocol : protocols) {
        add(token_goals(bench, std::string(protocol.codec)));
    }
    add(typed_wrk_goals(bench));
    for (const Protocol& protocol : protocols) {
        add(call_goals(bench, std::string(protocol.codec)));
    }
    for (const Protocol& protocol : protocols) {
        add(encode_goals(bench, std::string(protocol.codec)));
    }
    add(history_goals(bench));
    return goals;
}

}  // namespace llmproc::bench
