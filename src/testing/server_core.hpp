#pragma once

#include <llmproc/testing/scripted_server.hpp>
#include "testing/tls_engine.hpp"

#include <boost/asio/io_context.hpp>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace llmproc::testing {

class Connection;

/// What the connections share with the server object.
/// The script, the record and the counters are guarded by `mutex`; the rest belongs to the thread
/// that runs `context`.
class ServerCore {
public:
    explicit ServerCore(ServerOptions settings) : options(std::move(settings)) {}

    /// Records the request; the connection is told answer() now or when the gate opens.
    void on_request(const std::shared_ptr<Connection>& connection, RecordedRequest request);
    /// The open request of a connection ended: whole, or because the client left.
    void on_response_end(Connection& connection, bool aborted);
    void on_connection_end(Connection& connection);
    /// Changes the counters and wakes whoever waits for them.
    void count(std::size_t ServerStats::*counter);
    /// Answers what the gate held, if it is open.
    void release_held();
    Reply choose_reply(const RecordedRequest& request);

    const ServerOptions options;
    std::optional<TlsContext> tls;

    mutable std::mutex mutex;
    mutable std::condition_variable changed;
    ServerStats stats;
    std::vector<RecordedRequest> requests;
    std::deque<Reply> queue;
    std::optional<Reply> default_reply;
    ScriptedServer::Handler handler;
    std::size_t gate = 0;  ///< open requests that open it; 0: open

    std::unordered_map<int, std::shared_ptr<Connection>> connections;
    std::deque<std::shared_ptr<Connection>> held;
    int next_connection_id = 1;
    bool stopping = false;

    /// Last, so that its handlers are destroyed before what they use.
    boost::asio::io_context context{1};
};

}  // namespace llmproc::testing
