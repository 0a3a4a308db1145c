#include "transport_goals.hpp"

#include "counting.hpp"
#include "limits.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

constexpr unsigned few_rounds = 3;
constexpr std::size_t reference_in_flight = 64;

Goal memory_goal(const std::filesystem::path& programs, const std::string& kind) {
    constexpr double wanted = 10'000;
    const Command command{
        (programs / "llmproc-bench-probe").string(),
        "memory",
        kind,
        std::to_string(static_cast<int>(wanted))};
    std::istringstream printed(run(command, {}).output);
    double calls = 0;
    double full = 0;
    double empty = 0;
    double trimmed = 0;
    if (!(printed >> calls >> full >> empty >> trimmed)) {
        throw std::runtime_error("the probe printed no numbers");
    }
    std::ostringstream note;
    note.precision(3);
    note << (full - empty) / calls * 1024 << " KiB per call, " << (trimmed - empty) / calls * 1024
         << " after malloc_trim";
    if (calls < wanted) {
        note << "; EXTRAPOLATED from " << static_cast<int>(calls)
             << " calls, the limit of descriptors allows no more";
    }
    const double mib = empty + (full - empty) * wanted / calls;
    return {"MiB with 10,000 in flight: " + kind, mib, at_most(1000), at_most(400), note.str()};
}

std::string growth_label(const std::string& kind, std::size_t in_flight) {
    return kind + ", " + std::to_string(in_flight);
}

std::vector<Goal> growth_of(
    const std::string& kind,
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
) {
    const std::vector<std::size_t> numbers{
        1,
        reference_in_flight,
        1024,
        possible_connections(8192)};
    std::vector<Contestant> contestants;
    for (const std::size_t number : numbers) {
        const std::uint64_t calls = number == 1 ? 5'000 : std::max<std::size_t>(20'000, 4 * number);
        contestants.push_back({growth_label(kind, number), kind, number, calls, plan.client});
    }
    const std::string floor = "bare OpenSSL, blocking, 1";
    contestants.push_back({floor, "openssl", 1, 5'000, plan.client});
    const Turns turns = compete(client_of(programs), server, contestants, few_rounds);
    const double reference = best_cpu(turns.at(growth_label(kind, reference_in_flight)));
    std::vector<Goal> goals;
    for (const std::size_t number : numbers) {
        const double cpu = best_cpu(turns.at(growth_label(kind, number)));
        std::ostringstream note;
        note.precision(3);
        note << cpu << " us";
        Goal goal;
        goal.what = "CPU per call, to 64 in flight: " + growth_label(kind, number);
        goal.value = cpu / reference;
        goal.note = note.str();
        if (number != reference_in_flight) {
            goal.must = at_most(1.5);
            goal.aim = at_most(1.1);
        }
        goals.push_back(std::move(goal));
    }
    std::ostringstream note;
    note.precision(3);
    note << best_cpu(turns.at(floor)) << " us, for comparison";
    goals.push_back({"  " + floor, best_cpu(turns.at(floor)) / reference, {}, {}, note.str()});
    return goals;
}

}  // namespace

std::vector<Goal> wrk_goals(const Turns& turns) {
    const std::string rate = "64 connections: calls/s, to wrk";
    const std::string cpu = "64 connections: CPU, to wrk";
    const auto wrk = turns.find("wrk");
    if (wrk == turns.end()) {
        const std::string why = "wrk is not installed";
        return {{rate, std::nullopt, {}, {}, why}, {cpu, std::nullopt, {}, {}, why}};
    }
    const std::vector<Turn>& own = turns.at("llmproc transport, no JSON");
    return {
        {rate, rate_ratio(own, wrk->second), at_least(0.80), at_least(0.97)},
        {cpu, best_cpu(own) / best_cpu(wrk->second), at_most(1.3), at_most(1.0)},
    };
}

std::vector<Goal> count_goals(const std::filesystem::path& programs, const Server& server) {
    const std::string client = counted_client_of(programs);
    const auto count = [&](const char* kind) { return per_call(client, server, {kind}); };
    std::vector<Goal> goals = or_say_why("callgrind: a request", [&]() -> std::vector<Goal> {
        const Counts own = count("transport");
        const Counts easy = count("curl-easy");
        return {
            {"instructions per request, to libcurl easy",
             own.instructions / easy.instructions,
             at_most(0.50),
             at_most(0.33)},
            {"mallocs per request", own.mallocs, at_most(30), at_most(12)},
        };
    });
    const std::vector<Goal> connecting =
        or_say_why("callgrind: connecting", [&]() -> std::vector<Goal> {
            const double full = count("connect-full").instructions;
            const double resumed = count("connect-resumed").instructions;
            const double floor = count("openssl-connect-resumed").instructions /
                                 count("openssl-connect-full").instructions;
            return {
                {"resumed connect: instructions, to a full one",
                 resumed / full,
                 at_most(0.6),
                 at_most(0.5)},
                {"  the same of bare OpenSSL", floor, {}, {}, "for comparison"},
            };
        });
    goals.insert(goals.end(), connecting.begin(), connecting.end());
    return goals;
}

std::vector<Goal> connect_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
) {
    return or_say_why("resumed connect: CPU", [&]() -> std::vector<Goal> {
        constexpr std::uint64_t calls = 1500;
        const std::vector<Contestant> contestants{
            {"full", "connect-full", 1, calls, plan.client},
            {"resumed", "connect-resumed", 1, calls, plan.client},
            {"OpenSSL full", "openssl-connect-full", 1, calls, plan.client},
            {"OpenSSL resumed", "openssl-connect-resumed", 1, calls, plan.client},
        };
        const Turns turns = compete(client_of(programs), server, contestants, few_rounds);
        const auto cpu = [&](const char* label) { return best_cpu(turns.at(label)); };
        std::ostringstream note;
        note.precision(3);
        note << cpu("resumed") << " us of " << cpu("full") << " us";
        return {
            {"resumed connect: CPU, to a full one",
             cpu("resumed") / cpu("full"),
             at_most(0.6),
             at_most(0.5),
             note.str()},
            {"  the same of bare OpenSSL",
             cpu("OpenSSL resumed") / cpu("OpenSSL full"),
             {},
             {},
             "for comparison"},
        };
    });
}

std::vector<Goal> growth_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
) {
    std::vector<Goal> goals;
    for (const char* kind : {"transport", "async-complete"}) {
        const std::vector<Goal> rows = or_say_why(
            std::string("growth with the calls in flight: ") + kind,
            [&] { return growth_of(kind, programs, server, plan); }
        );
        goals.insert(goals.end(), rows.begin(), rows.end());
    }
    return goals;
}

std::vector<Goal> memory_goals(const std::filesystem::path& programs) {
    std::vector<Goal> goals;
    for (const char* kind : {"transport", "async-complete", "async-run"}) {
        const std::vector<Goal> rows = or_say_why(
            std::string("memory: ") + kind,
            [&]() -> std::vector<Goal> { return {memory_goal(programs, kind)}; }
        );
        goals.insert(goals.end(), rows.begin(), rows.end());
    }
    return goals;
}

std::vector<Goal> warm_goals(const std::filesystem::path& programs) {
    return or_say_why("warm pool", [&]() {
        const Command command{(programs / "llmproc-bench-probe").string(), "warm"};
        std::istringstream printed(run(command, {}).output);
        std::vector<Goal> goals;
        std::string which;
        double handshakes = 0;
        double lookups = 0;
        double contexts = 0;
        while (printed >> which >> handshakes >> lookups >> contexts) {
            std::ostringstream note;
            note << handshakes << " handshakes, " << lookups << " look-ups, " << contexts
                 << " SSL contexts";
            Goal goal{"set-up work of a call: " + which, handshakes + lookups + contexts};
            if (which != "first") {
                goal.must = goal.aim = at_most(0);
            }
            goal.note = note.str();
            goals.push_back(std::move(goal));
        }
        return goals;
    });
}

}  // namespace llmproc::bench
