#include "core/fork_guard.hpp"
#include "net/caching_resolver.hpp"
#include "net/resolver.hpp"

#include <boost/asio/error.hpp>

#include <netdb.h>
#include <pthread.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr std::size_t max_helpers = 8;

struct Job {
    std::string host;
    std::uint16_t port = 0;
    ResolveHandler handler;
};

/// The queue and its helper threads. Never destroyed: a helper may be stuck in it at exit.
struct Helpers {
    std::mutex mutex;
    std::condition_variable work;
    std::deque<Job> jobs;
    std::size_t threads = 0;
    std::size_t idle = 0;
};

boost::system::error_code lookup_error(int code) {
    switch (code) {
        case EAI_AGAIN: return asio::error::host_not_found_try_again;
        case EAI_FAIL: return asio::error::no_recovery;
        case EAI_NODATA: return asio::error::no_data;
        case EAI_MEMORY: return asio::error::no_memory;
        case EAI_SYSTEM: return {errno, boost::system::system_category()};
        default: return asio::error::host_not_found;
    }
}

void look_up(const Job& job) {
    addrinfo hints = {};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int result = ::getaddrinfo(job.host.c_str(), nullptr, &hints, &found);
    if (result != 0) {
        job.handler(lookup_error(result), Addresses());
        return;
    }
    Addresses addresses;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        tcp::endpoint endpoint;
        if (entry->ai_addrlen <= endpoint.capacity()) {
            endpoint.resize(entry->ai_addrlen);
            std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
            endpoint.port(job.port);
            addresses.push_back(endpoint);
        }
    }
    ::freeaddrinfo(found);
    job.handler(boost::system::error_code(), std::move(addresses));
}

void help(Helpers& helpers, std::size_t number) {
    const std::string name = "llm-dns-" + std::to_string(number);
    ::pthread_setname_np(::pthread_self(), name.c_str());
    std::unique_lock lock(helpers.mutex);
    for (;;) {
        ++helpers.idle;
        while (helpers.jobs.empty()) {
            helpers.work.wait(lock);
        }
        --helpers.idle;
        {
            const Job job = std::move(helpers.jobs.front());
            helpers.jobs.pop_front();
            lock.unlock();
            try {
                look_up(job);
            } catch (const std::bad_alloc&) {
                job.handler(asio::error::no_memory, Addresses());
            }
        }
        lock.lock();
    }
}

/// Precondition: the mutex is held. False if there is no helper at all.
bool ensure_helper(Helpers& helpers) {
    if (helpers.idle >= helpers.jobs.size() || helpers.threads >= max_helpers) {
        return true;
    }
    // Signals belong to the application's threads.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread(help, std::ref(helpers), helpers.threads + 1).detach();
        ++helpers.threads;
    } catch (const std::system_error&) {
        // The helpers that there are will get to it.
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return helpers.threads > 0;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return true;
}

/// After a fork those of the parent do not run here.
constinit PerProcess<Helpers> current_helpers;

class SystemResolver final : public Resolver {
public:
    void resolve(std::string host, std::uint16_t port, ResolveHandler handler) override {
        if (!enqueue(Job{std::move(host), port, handler})) {
            handler(asio::error::no_memory, Addresses());
        }
    }

private:
    static bool enqueue(Job job) {
        Helpers& helpers = current_helpers.get();
        const std::lock_guard lock(helpers.mutex);
        helpers.jobs.push_back(std::move(job));
        if (!ensure_helper(helpers)) {
            helpers.jobs.pop_back();
            return false;
        }
        helpers.work.notify_one();
        return true;
    }
};

struct SharedResolver {
    const std::shared_ptr<Resolver> resolver = std::make_shared<CachingResolver>(
        std::make_shared<SystemResolver>()
    );
};

constinit PerProcess<SharedResolver> shared_resolver;

}  // namespace

std::shared_ptr<Resolver> system_resolver() {
    return shared_resolver.get().resolver;
}

}  // namespace llmproc::net
