/// @file
/// Host names to addresses, injectable.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace llmproc::net {

using Addresses = std::vector<boost::asio::ip::tcp::endpoint>;
/// Called once, on any thread, possibly before `resolve` returns.
using ResolveHandler = std::function<void(boost::system::error_code, Addresses)>;

/// Looks host names up without ever blocking the caller. Thread-safe.
class Resolver {
public:
    Resolver() = default;
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    virtual ~Resolver() = default;

    virtual void resolve(std::string host, std::uint16_t port, ResolveHandler handler) = 0;
};

/// The process-wide resolver: getaddrinfo on at most 8 helper threads, started when needed.
/// Numeric addresses and "localhost" never need a thread. A stuck look-up is abandoned with its
/// thread, never joined.
std::shared_ptr<Resolver> system_resolver();

}  // namespace llmproc::net
