#include "stream_server.hpp"

#include "replies.hpp"

#include <openssl/ssl.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace llmproc::bench {

namespace {

constexpr std::size_t record_size = 16UL * 1024;
constexpr std::size_t send_size = 64UL * 1024;

struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
};

/// What one connection is sent: each piece is one TLS record.
struct Answer {
    std::string text;
    std::vector<std::size_t> ends;  ///< Of the records.
};

void append_chunk(std::string& text, std::string_view data) {
    std::array<char, 24> size{};
    const int digits = std::snprintf(size.data(), size.size(), "%zx\r\n", data.size());
    text.append(size.data(), static_cast<std::size_t>(digits)).append(data).append("\r\n");
}

std::shared_ptr<const Answer> make_answer(std::string_view codec, bool bulk, std::size_t tokens) {
    const StreamText stream = stream_text(codec, tokens);
    auto answer = std::make_shared<Answer>();
    answer->text = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n";
    std::string block;
    const auto flush = [&] {
        append_chunk(answer->text, block);
        answer->ends.push_back(answer->text.size());
        block.clear();
    };
    block = stream.begin;
    for (std::size_t i = 0; i < tokens; ++i) {
        block += stream.token;
        if (!bulk || block.size() + stream.token.size() + 16 > record_size) {
            flush();
        }
    }
    block += stream.end;
    flush();
    answer->text += "0\r\n\r\n";
    answer->ends.back() = answer->text.size();
    return answer;
}

/// Made once each, so that making them is no part of what is measured.
class Answers {
public:
    std::shared_ptr<const Answer> find(std::string_view codec, bool bulk, std::size_t tokens) {
        const std::lock_guard lock(mutex_);
        std::shared_ptr<const Answer>& answer = made_[{std::string(codec), bulk, tokens}];
        if (!answer) {
            answer = make_answer(codec, bulk, tokens);
        }
        return answer;
    }

private:
    std::mutex mutex_;
    std::map<std::tuple<std::string, bool, std::size_t>, std::shared_ptr<const Answer>> made_;
};

class Peer {
public:
    Peer(SSL_CTX* context, int descriptor) : ssl_(SSL_new(context)), descriptor_(descriptor) {
        SSL_set_fd(ssl_.get(), descriptor);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer() { close(descriptor_); }

    void serve(Answers& answers) {
        if (SSL_accept(ssl_.get()) != 1) {
            return;
        }
        // From here on records are gathered, and leave in sends of the size wanted.
        gathered_ = BIO_new(BIO_s_mem());
        SSL_set0_wbio(ssl_.get(), gathered_);
        while (read_request()) {
            const std::shared_ptr<const Answer> answer = find(answers);
            if (!answer || !send(*answer)) {
                return;
            }
        }
    }

private:
    bool read_request() {
        request_.clear();
        for (;;) {
            const std::size_t head = request_.find("\r\n\r\n");
            if (head != std::string::npos && request_.size() >= head + 4 + body_bytes()) {
                return true;
            }
            std::array<char, 4096> buffer{};
            const int bytes = SSL_read(ssl_.get(), buffer.data(), buffer.size());
            if (bytes <= 0) {
                return false;
            }
            request_.append(buffer.data(), static_cast<std::size_t>(bytes));
        }
    }

    std::size_t body_bytes() const {
        for (const char* const name : {"Content-Length: ", "content-length: "}) {
            if (const std::size_t at = request_.find(name); at != std::string::npos) {
                return std::strtoull(request_.c_str() + at + 16, nullptr, 10);
            }
        }
        return 0;
    }

    std::shared_ptr<const Answer> find(Answers& answers) const {
        const std::size_t begin = request_.find(' ') + 1;
        std::string_view path = std::string_view(request_).substr(begin);
        path = path.substr(0, path.find_first_of(" ?"));
        const std::size_t count = request_.find("tokens=");
        const bool bulk = path.starts_with(bulk_prefix);
        if ((!bulk && !path.starts_with(coalesced_prefix)) || count == std::string::npos) {
            return nullptr;
        }
        path = path.substr(path.find('/', 1));
        const std::size_t tokens = std::strtoull(request_.c_str() + count + 7, nullptr, 10);
        for (const Protocol& protocol : protocols) {
            if (path == protocol.stream_path) {
                return answers.find(protocol.codec, bulk, tokens);
            }
        }
        return nullptr;
    }

    bool send(const Answer& answer) {
        std::size_t at = 0;
        for (const std::size_t end : answer.ends) {
            for (; at < end; at += std::min(record_size, end - at)) {
                const std::size_t size = std::min(record_size, end - at);
                SSL_write(ssl_.get(), answer.text.data() + at, static_cast<int>(size));
            }
            if (BIO_pending(gathered_) >= static_cast<long>(send_size) && !flush()) {
                return false;
            }
        }
        return flush();
    }

    bool flush() {
        char* data = nullptr;
        auto left = static_cast<std::size_t>(BIO_get_mem_data(gathered_, &data));
        while (left > 0) {
            const ssize_t sent = ::send(descriptor_, data, left, MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            data += sent;
            left -= static_cast<std::size_t>(sent);
        }
        return BIO_reset(gathered_) == 1;
    }

    std::unique_ptr<SSL, Free> ssl_;
    int descriptor_;
    BIO* gathered_ = nullptr;  ///< Owned by the SSL.
    std::string request_;
};

int listen_on_loopback() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    void* const generic = &address;
    if (bind(listener, static_cast<sockaddr*>(generic), size) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, static_cast<sockaddr*>(generic), &size) != 0) {
        throw std::runtime_error("cannot listen on loopback");
    }
    std::cout << ntohs(address.sin_port) << std::endl;
    return listener;
}

}  // namespace

void serve_streams(const std::string& chain_file, const std::string& key_file) {
    const std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_use_certificate_chain_file(context.get(), chain_file.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        throw std::runtime_error("cannot use the server's certificate");
    }
    Answers answers;
    const int listener = listen_on_loopback();
    for (;;) {
        const int descriptor = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor < 0) {
            throw std::runtime_error("cannot accept a connection");
        }
        const int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        SSL_CTX* const shared = context.get();
        std::thread([shared, descriptor, &answers] { Peer(shared, descriptor).serve(answers); }
        ).detach();
    }
}

StreamServer::StreamServer(
    const std::filesystem::path& chain,
    const std::filesystem::path& key,
    Cores cores
) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) {
        throw std::runtime_error("cannot make a pipe");
    }
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
    const Command command{
        (self.parent_path() / "llmproc-bench-probe").string(),
        "streams",
        chain.string(),
        key.string()};
    child_.emplace(command, cores, ends[1]);
    close(ends[1]);
    output_ = ends[0];
    std::string port;
    char letter = 0;
    while (read(output_, &letter, 1) == 1 && letter != '\n') {
        port += letter;
    }
    if (port.empty()) {
        throw std::runtime_error("the server of the streams did not start");
    }
    port_ = static_cast<std::uint16_t>(std::stoul(port));
}

StreamServer::~StreamServer() {
    child_.reset();
    close(output_);
}

}  // namespace llmproc::bench
