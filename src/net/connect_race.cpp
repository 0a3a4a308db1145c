#include "net/connect_race.hpp"

#include "net/context_service.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace llmproc::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

boost::system::error_code system_error_code(int number) {
    return {number, boost::system::system_category()};
}

/// How far an attempt is.
struct Progress {
    bool pending = false;
    boost::system::error_code error;
};

/// Starts to connect without waiting; on failure `socket` is left closed.
Progress start_connect(tcp::socket& socket, const tcp::endpoint& peer) {
    const tcp protocol = peer.protocol();
    const int descriptor = ::socket(
        protocol.family(),
        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
        protocol.protocol()
    );
    if (descriptor < 0) {
        return Progress{false, system_error_code(errno)};
    }
    const int on = 1;
    // Best effort: without it requests are only slower.
    (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    boost::system::error_code error;
    socket.assign(protocol, descriptor, error);
    if (error) {
        ::close(descriptor);
        return Progress{false, error};
    }
    if (::connect(descriptor, peer.data(), static_cast<socklen_t>(peer.size())) == 0) {
        return Progress{};
    }
    if (errno == EINPROGRESS || errno == EINTR) {
        return Progress{true, {}};
    }
    return Progress{false, system_error_code(errno)};
}

/// What became of an attempt whose socket is writable.
Progress finish_connect(tcp::socket& socket) {
    int number = 0;
    socklen_t size = sizeof number;
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &number, &size) != 0) {
        return Progress{false, system_error_code(errno)};
    }
    if (number != 0) {
        return Progress{false, system_error_code(number)};
    }
    boost::system::error_code error;
    const tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) {
        // A wake-up without a result is no connection yet.
        return Progress{error == asio::error::not_connected, error};
    }
    if (peer == socket.local_endpoint(error)) {
        // Without a listener a port of the ephemeral range can be connected to itself.
        return Progress{false, asio::error::connection_refused};
    }
    return Progress{};
}

/// The attempts of one race. Owned by the coroutine alone: with it all sockets are closed, and
/// completions that are still on their way find nothing.
class Race : public std::enable_shared_from_this<Race> {
public:
    Race(const asio::any_io_executor& executor, Addresses order)
        : executor_(executor),
          timer_(executor),
          order_(std::move(order)),
          plan_(order_.size()) {
        const asio::any_io_executor plain = plain_executor(executor);
        sockets_.reserve(order_.size());
        for (std::size_t i = 0; i < order_.size(); ++i) {
            sockets_.emplace_back(plain);
        }
    }

    /// Starts what is due and sets the timer for the next wait. False: the race is over.
    bool advance(RacePlan::TimePoint now);
    /// Whether an attempt has ended since this was last asked.
    bool take_woken() noexcept { return std::exchange(woken_, false); }
    asio::steady_timer& timer() noexcept { return timer_; }
    RaceResult result();

private:
    void settle(std::size_t index, const Progress& progress);
    void wait(std::size_t index);
    void on_ready(std::size_t index, const boost::system::error_code& error);

    const asio::any_io_executor executor_;
    asio::steady_timer timer_;
    const Addresses order_;
    std::vector<tcp::socket> sockets_;
    RacePlan plan_;
    MostUsefulRefusal refusal_;
    std::optional<std::size_t> winner_;
    bool woken_ = false;
};

bool Race::advance(RacePlan::TimePoint now) {
    while (!winner_) {
        const RaceMove move = plan_.next(now);
        if (move.what == RaceMove::What::give_up) {
            return false;
        }
        if (move.what == RaceMove::What::wait) {
            timer_.expires_at(move.until);
            return true;
        }
        settle(move.index, start_connect(sockets_[move.index], order_[move.index]));
    }
    return false;
}

void Race::settle(std::size_t index, const Progress& progress) {
    if (progress.pending) {
        wait(index);
    } else if (progress.error) {
        refusal_.add(progress.error, order_[index]);
        boost::system::error_code ignored;
        sockets_[index].close(ignored);
        plan_.failed();
    } else if (!winner_) {
        winner_ = index;
    }
}

void Race::wait(std::size_t index) {
    auto ready = [weak = weak_from_this(), index](const boost::system::error_code& error) {
        if (const std::shared_ptr<Race> self = weak.lock()) {
            self->on_ready(index, error);
        }
    };
    sockets_[index].async_wait(
        tcp::socket::wait_write,
        asio::bind_executor(executor_, std::move(ready))
    );
}

void Race::on_ready(std::size_t index, const boost::system::error_code& error) {
    const Progress progress = error ? Progress{false, error} : finish_connect(sockets_[index]);
    settle(index, progress);
    if (!progress.pending) {
        woken_ = true;
        timer_.cancel();
    }
}

RaceResult Race::result() {
    RaceResult result;
    result.refusal = refusal_.get();
    if (winner_) {
        result.peer = order_[*winner_];
        result.socket.emplace(std::move(sockets_[*winner_]));
    }
    return result;
}

}  // namespace

asio::awaitable<RaceResult> connect_race(async::CallContext& call, Addresses addresses) {
    const auto race = std::make_shared<Race>(call.executor(), take_turns(addresses));
    while (race->advance(async::Clock::now())) {
        const auto [error] = co_await race->timer().async_wait(asio::as_tuple(asio::deferred));
        const bool woken = race->take_woken();
        if (call.interrupted() || (error && !woken)) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
    }
    co_return race->result();
}

}  // namespace llmproc::net
