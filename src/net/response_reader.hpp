/// @file
/// Bytes of a connection to one HTTP/1.1 answer; no sockets.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/http_message.hpp>

#include <boost/beast/http/basic_parser.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::net {

/// Reads one final answer, skipping the interim ones before it.
///
/// Stricter than Beast where a lenient reading could hide a second answer: folded header lines and
/// transfer codings other than chunked are refused.
class ResponseReader {
public:
    /// `head_request`: the answer to HEAD has no body whatever its header says.
    ResponseReader(std::size_t max_header_bytes, bool head_request);
    ResponseReader(const ResponseReader&) = delete;
    ResponseReader& operator=(const ResponseReader&) = delete;
    ~ResponseReader() = default;

    /// Takes what has arrived and appends body bytes to `body`. False: see `problem`.
    bool feed(std::string_view bytes, std::string& body);
    /// The peer has ended its side; `orderly` if it said so. False: see `problem`.
    bool end(bool orderly);

    /// Whether anything has arrived at all.
    bool started() const noexcept { return started_; }
    bool head_complete() const noexcept { return head_complete_; }
    bool complete() const noexcept { return complete_; }
    /// After `complete`: another request may follow on this connection.
    bool reusable() const noexcept { return reusable_ && !surplus_; }
    const HttpResponse& head() const noexcept { return head_; }
    HttpResponse& head() noexcept { return head_; }

    /// Why `feed` or `end` returned false: code and a text without the place.
    Errc problem() const noexcept { return problem_; }
    const std::string& problem_text() const noexcept { return problem_text_; }

private:
    class Parser final : public boost::beast::http::basic_parser<false> {
    public:
        Parser(ResponseReader& reader, std::size_t max_header_bytes, bool head_request);
        bool must_end_by_close() const { return need_eof(); }

    private:
        using Ec = boost::beast::error_code;
        using View = boost::beast::string_view;
        using Field = boost::beast::http::field;
        using Verb = boost::beast::http::verb;
        void on_request_impl(Verb method, View name, View target, int version, Ec& ec) override;
        void on_response_impl(int code, View reason, int version, Ec& ec) override;
        void on_field_impl(Field name, View name_string, View value, Ec& ec) override;
        void on_header_impl(Ec& ec) override;
        void on_body_init_impl(const boost::optional<std::uint64_t>& length, Ec& ec) override;
        std::size_t on_body_impl(View body, Ec& ec) override;
        void on_chunk_header_impl(std::uint64_t size, View extensions, Ec& ec) override;
        std::size_t on_chunk_body_impl(std::uint64_t remain, View body, Ec& ec) override;
        void on_finish_impl(Ec& ec) override;

        ResponseReader& reader_;
        std::size_t header_bytes_ = 0;
        bool in_header_ = true;
    };
    friend class Parser;

    std::size_t parse(std::string_view bytes);
    bool fail(Errc code, std::string text);
    bool finish_message();

    std::size_t max_header_bytes_;
    bool head_request_;
    bool started_ = false;
    bool head_complete_ = false;
    bool complete_ = false;
    bool reusable_ = false;
    bool surplus_ = false;
    int interim_ = 0;
    Errc problem_ = Errc::internal;
    std::string problem_text_;
    std::string rest_;             ///< Arrived but not yet understood, e.g. half a header.
    std::string_view input_;       ///< What the parser looks at, to recognise folded lines.
    std::string* body_ = nullptr;  ///< Where body bytes go, during `feed`.
    HttpResponse head_;
    std::optional<Parser> parser_;
};

}  // namespace llmproc::net
