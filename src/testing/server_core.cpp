#include "testing/server_core.hpp"

#include "testing/connection.hpp"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

namespace llmproc::testing {

namespace {

/// Control characters and quotes would make the body bad JSON.
std::string json_text(const std::string& text) {
    std::string safe;
    for (const char letter : text) {
        const bool plain = letter >= ' ' && letter != '"' && letter != '\\';
        safe += plain ? letter : ' ';
    }
    return safe;
}

Reply server_fault(const std::string& message) {
    return Reply::json(
               R"({"error":{"type":"scripted_server","message":")" + json_text(message) + "\"}}"
    )
        .with_status(500);
}

}  // namespace

void ServerCore::on_request(
    const std::shared_ptr<Connection>& connection,
    RecordedRequest request
) {
    {
        const std::lock_guard lock(mutex);
        ++stats.requests;
        ++stats.open_requests;
        stats.peak_open_requests = std::max(stats.peak_open_requests, stats.open_requests);
        requests.push_back(std::move(request));
        changed.notify_all();
    }
    held.push_back(connection);
    release_held();
}

void ServerCore::release_held() {
    {
        const std::lock_guard lock(mutex);
        if (gate > stats.open_requests) {
            return;
        }
        gate = 0;
    }
    // answer() may finish at once and bring the next request, which joins the end of the list
    while (!held.empty()) {
        const std::shared_ptr<Connection> connection = held.front();
        held.pop_front();
        connection->answer();
    }
}

void ServerCore::on_response_end(Connection& connection, bool aborted) {
    std::erase_if(held, [&connection](const auto& other) { return other.get() == &connection; });
    const std::lock_guard lock(mutex);
    --stats.open_requests;
    ++(aborted ? stats.aborted : stats.responses);
    changed.notify_all();
}

void ServerCore::on_connection_end(Connection& connection) {
    connections.erase(connection.id());
    const std::lock_guard lock(mutex);
    --stats.open_connections;
    changed.notify_all();
}

void ServerCore::count(std::size_t ServerStats::*counter) {
    const std::lock_guard lock(mutex);
    ++(stats.*counter);
    changed.notify_all();
}

Reply ServerCore::choose_reply(const RecordedRequest& request) {
    ScriptedServer::Handler chosen;
    {
        const std::lock_guard lock(mutex);
        if (!queue.empty()) {
            Reply reply = std::move(queue.front());
            queue.pop_front();
            return reply;
        }
        if (!handler) {
            return default_reply.value_or(
                server_fault("nothing is scripted for this request: use push() or handle()")
            );
        }
        chosen = handler;
    }
    try {
        return chosen(request);
    } catch (const std::exception& error) {
        return server_fault(std::string("the handler threw: ") + error.what());
    } catch (...) {
        return server_fault("the handler threw something that is no std::exception");
    }
}

}  // namespace llmproc::testing
