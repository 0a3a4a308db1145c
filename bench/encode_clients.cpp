// The codecs alone: requests of a long conversation.
#include <llmproc/provider.hpp>
#include "client.hpp"

#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace llmproc::bench {

namespace {

const Codec& codec_of(std::string_view name) {
    const Codec* const codec = find_codec(name);
    if (codec == nullptr) {
        throw std::runtime_error("there is no codec " + std::string(name));
    }
    return *codec;
}

ChatRequest conversation(std::uint64_t turns) {
    ChatRequest request;
    const std::string text = conversation_text(conversation_turn_bytes / 2);
    for (std::uint64_t i = 0; i < turns; ++i) {
        request.add(Message::user(text));
        request.add(Message::assistant(text));
    }
    request.add(Message::user("And now?"));
    return request;
}

class Encode final : public Client {
public:
    Encode(const Load& load, std::string_view codec)
        : codec_(codec_of(codec)),
          request_(conversation(load.in_flight)) {
        endpoint_.base_url = "https://127.0.0.1/v1";
        endpoint_.model = "gpt-5-mini";
        bytes_ = encode();
    }

    void run(std::uint64_t calls, Latencies& /*latencies*/) override {
        for (std::uint64_t i = 0; i < calls; ++i) {
            if (encode() != bytes_) {
                throw std::runtime_error("the same request has another size");
            }
        }
    }

private:
    std::size_t encode() { return codec_.encode(request_, endpoint_, false, cache_).body.size(); }

    const Codec& codec_;
    ChatRequest request_;
    Endpoint endpoint_;
    EncodeCache cache_;
    std::size_t bytes_ = 0;
};

class BodyCopy final : public Client {
public:
    BodyCopy(const Load& load, std::string_view codec) {
        Endpoint endpoint;
        endpoint.base_url = "https://127.0.0.1/v1";
        endpoint.model = "gpt-5-mini";
        EncodeCache cache;
        const ChatRequest request = conversation(load.in_flight);
        body_ = codec_of(codec).encode(request, endpoint, false, cache).body;
        copy_ = body_;  // memory that is there already
    }

    void run(std::uint64_t calls, Latencies& /*latencies*/) override {
        for (std::uint64_t i = 0; i < calls; ++i) {
            std::memcpy(copy_.data(), body_.data(), body_.size());
            sum_ += static_cast<unsigned char>(copy_[i % copy_.size()]);
        }
        if (sum_ == 0) {
            throw std::runtime_error("nothing was copied");
        }
    }

private:
    std::string body_;
    std::string copy_;
    std::uint64_t sum_ = 0;
};

}  // namespace

std::unique_ptr<Client> make_encode(const Load& load, std::string_view codec) {
    return std::make_unique<Encode>(load, codec);
}

std::unique_ptr<Client> make_body_copy(const Load& load, std::string_view codec) {
    return std::make_unique<BodyCopy>(load, codec);
}

}  // namespace llmproc::bench
