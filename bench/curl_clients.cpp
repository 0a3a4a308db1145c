// libcurl, without any JSON: the request is ready-made and the answer's bytes are only collected.
#include "client.hpp"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

void check(CURLcode code) {
    if (code != CURLE_OK) {
        throw std::runtime_error(std::string("libcurl: ") + curl_easy_strerror(code));
    }
}

void check(CURLMcode code) {
    if (code != CURLM_OK) {
        throw std::runtime_error(std::string("libcurl: ") + curl_multi_strerror(code));
    }
}

struct Free {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::size_t collect(char* data, std::size_t size, std::size_t count, void* answer) {
    static_cast<std::string*>(answer)->append(data, size * count);
    return size * count;
}

/// One easy handle that can be performed any number of times.
class Transfer {
public:
    explicit Transfer(const Load& load) : request_(chat_request()), easy_(curl_easy_init()) {
        for (const auto& [name, value] : request_.headers) {
            headers_.reset(curl_slist_append(headers_.release(), (name + ": " + value).c_str()));
        }
        const std::string url = "https://127.0.0.1:" + std::to_string(load.port) +
                                std::string(target);
        CURL* const easy = easy_.get();
        check(curl_easy_setopt(easy, CURLOPT_URL, url.c_str()));
        check(curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L));
        check(curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1));
        check(curl_easy_setopt(easy, CURLOPT_CAINFO, load.ca_file.c_str()));
        check(curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get()));
        check(curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.c_str()));
        check(curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(request_.body.size()))
        );
        check(curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect));
        check(curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer_));
        check(curl_easy_setopt(easy, CURLOPT_PRIVATE, this));
    }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;
    ~Transfer() = default;

    CURL* easy() const { return easy_.get(); }
    void perform() {
        check(curl_easy_perform(easy()));
        finish();
    }
    void finish() {
        long status = 0;
        check(curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status));
        check_reply(status, answer_.size());
        answer_.clear();
    }

private:
    HttpRequest request_;
    std::unique_ptr<curl_slist, Free> headers_;
    std::string answer_;
    std::unique_ptr<CURL, Free> easy_;
};

class CurlEasy final : public Client {
public:
    explicit CurlEasy(const Load& load) : transfer_(load) {}
    void run(std::uint64_t calls, Latencies& latencies) override {
        one_by_one(calls, latencies, [this] { transfer_.perform(); });
    }

private:
    Transfer transfer_;
};

/// Keeps `in_flight` transfers going; how to wait is the derived class's.
class CurlMulti : public Client {
public:
    explicit CurlMulti(const Load& load) : multi_(curl_multi_init()) {
        check(curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(load.in_flight + 1))
        );
        for (std::uint64_t i = 0; i < load.in_flight; ++i) {
            transfers_.push_back(std::make_unique<Transfer>(load));
        }
    }
    CurlMulti(const CurlMulti&) = delete;
    CurlMulti& operator=(const CurlMulti&) = delete;
    ~CurlMulti() override {
        transfers_.clear();
        curl_multi_cleanup(multi_);
    }

    void run(std::uint64_t calls, Latencies&) override {
        waiting_ = calls;
        left_ = calls;
        for (const auto& transfer : transfers_) {
            add(transfer->easy());
        }
        while (left_ > 0) {
            step();
            reap();
        }
    }

protected:
    virtual void step() = 0;
    CURLM* multi() const { return multi_; }

private:
    void add(CURL* easy) {
        if (waiting_ > 0) {
            --waiting_;
            check(curl_multi_add_handle(multi_, easy));
        }
    }
    void reap() {
        int queued = 0;
        while (CURLMsg* message = curl_multi_info_read(multi_, &queued)) {
            CURL* const easy = message->easy_handle;
            check(message->data.result);
            void* transfer = nullptr;
            check(curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer));
            static_cast<Transfer*>(transfer)->finish();
            check(curl_multi_remove_handle(multi_, easy));
            --left_;
            add(easy);
        }
    }

    CURLM* multi_;
    std::vector<std::unique_ptr<Transfer>> transfers_;
    std::uint64_t waiting_ = 0;
    std::uint64_t left_ = 0;
};

/// The simple interface: curl_multi_perform and curl_multi_poll.
class CurlMultiPoll final : public CurlMulti {
public:
    using CurlMulti::CurlMulti;

private:
    void step() override {
        int running = 0;
        check(curl_multi_perform(multi(), &running));
        if (running > 0) {
            check(curl_multi_poll(multi(), nullptr, 0, 1000, nullptr));
        }
    }
};

/// The fast interface: curl_multi_socket_action with epoll.
class CurlMultiSocket final : public CurlMulti {
public:
    explicit CurlMultiSocket(const Load& load)
        : CurlMulti(load),
          epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        check(curl_multi_setopt(multi(), CURLMOPT_SOCKETFUNCTION, watch));
        check(curl_multi_setopt(multi(), CURLMOPT_SOCKETDATA, this));
        check(curl_multi_setopt(multi(), CURLMOPT_TIMERFUNCTION, set_timer));
        check(curl_multi_setopt(multi(), CURLMOPT_TIMERDATA, this));
    }
    CurlMultiSocket(const CurlMultiSocket&) = delete;
    CurlMultiSocket& operator=(const CurlMultiSocket&) = delete;
    ~CurlMultiSocket() override {
        curl_multi_setopt(multi(), CURLMOPT_SOCKETFUNCTION, nullptr);
        curl_multi_setopt(multi(), CURLMOPT_TIMERFUNCTION, nullptr);
        close(epoll_);
    }

private:
    static int watch(CURL*, curl_socket_t socket, int what, void* self, void* known) {
        auto& client = *static_cast<CurlMultiSocket*>(self);
        epoll_event event{};
        event.data.fd = socket;
        if (what == CURL_POLL_REMOVE) {
            epoll_ctl(client.epoll_, EPOLL_CTL_DEL, socket, &event);
            return 0;
        }
        event.events = (what & CURL_POLL_IN ? std::uint32_t{EPOLLIN} : 0U) |
                       (what & CURL_POLL_OUT ? std::uint32_t{EPOLLOUT} : 0U);
        epoll_ctl(client.epoll_, known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
        curl_multi_assign(client.multi(), socket, self);
        return 0;
    }

    static int set_timer(CURLM*, long milliseconds, void* self) {
        static_cast<CurlMultiSocket*>(self)->timeout_ = milliseconds;
        return 0;
    }

    void act(curl_socket_t socket, int events) {
        int running = 0;
        check(curl_multi_socket_action(multi(), socket, events, &running));
    }

    void step() override {
        if (timeout_ == 0) {
            timeout_ = -1;
            act(CURL_SOCKET_TIMEOUT, 0);
            return;
        }
        const int limit = timeout_ < 0 ? 1000 : static_cast<int>(std::min(timeout_, 1000L));
        const int count =
            epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), limit);
        if (count == 0) {
            act(CURL_SOCKET_TIMEOUT, 0);
        }
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events_[static_cast<std::size_t>(i)];
            const bool in = (event.events & EPOLLIN) != 0U;
            const bool out = (event.events & EPOLLOUT) != 0U;
            const bool bad = (event.events & (EPOLLERR | EPOLLHUP)) != 0U;
            act(event.data.fd,
                (in ? CURL_CSELECT_IN : 0) | (out ? CURL_CSELECT_OUT : 0) |
                    (bad ? CURL_CSELECT_ERR : 0));
        }
    }

    int epoll_;
    long timeout_ = -1;
    std::array<epoll_event, 128> events_{};
};

}  // namespace

std::unique_ptr<Client> make_curl_easy(const Load& load) {
    return std::make_unique<CurlEasy>(load);
}

std::unique_ptr<Client> make_curl_multi_poll(const Load& load) {
    return std::make_unique<CurlMultiPoll>(load);
}

std::unique_ptr<Client> make_curl_multi_socket(const Load& load) {
    return std::make_unique<CurlMultiSocket>(load);
}

}  // namespace llmproc::bench
