#include "net/response_reader.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

namespace llmproc::net {

namespace http = boost::beast::http;

namespace {

constexpr int max_interim_answers = 32;
/// A line between two chunks or a trailer that is longer than this is an attack, not a protocol.
constexpr std::size_t max_unparsed_slack = 16UL * 1024;

/// A value on a folded line: the parser has joined the lines in a buffer of its own, or skipped an
/// empty first line, so that between name and value there is a line end.
bool folded(std::string_view input, std::string_view name, std::string_view value) {
    const std::less_equal<> before;
    const char* const name_end = name.data() + name.size();
    const char* const input_end = input.data() + input.size();
    if (!before(name_end, value.data()) || !before(value.data(), input_end)) {
        return true;
    }
    return std::find(name_end, value.data(), '\n') != value.data();
}

}  // namespace

ResponseReader::Parser::Parser(
    ResponseReader& reader,
    std::size_t max_header_bytes,
    bool head_request
)
    : reader_(reader) {
    const auto limit = std::numeric_limits<std::uint32_t>::max();
    header_limit(max_header_bytes < limit ? static_cast<std::uint32_t>(max_header_bytes) : limit);
    body_limit(boost::none);
    eager(true);
    skip(head_request);
}

void ResponseReader::Parser::on_request_impl(
    Verb /*method*/,
    View /*name*/,
    View /*target*/,
    int /*version*/,
    Ec& ec
) {
    ec = http::error::bad_version;
}

void ResponseReader::Parser::on_response_impl(int code, View reason, int /*version*/, Ec& ec) {
    ec = Ec();
    constexpr std::size_t usual_fields = 12;
    reader_.head_.headers.reserve(usual_fields);
    reader_.head_.status = code;
    reader_.head_.reason.assign(reason.data(), reason.size());
}

void ResponseReader::Parser::on_field_impl(Field name, View name_string, View value, Ec& ec) {
    ec = Ec();
    constexpr std::size_t punctuation = 4;  // ": " and CR LF
    header_bytes_ += name_string.size() + value.size() + punctuation;
    if (header_bytes_ > reader_.max_header_bytes_) {
        ec = http::error::header_limit;
        return;
    }
    if (folded(reader_.input_, name_string, value)) {
        ec = http::error::bad_value;
        return;
    }
    if (!in_header_) {
        return;  // Trailers: nobody asked for them.
    }
    if (name == Field::transfer_encoding && !boost::beast::iequals(value, "chunked")) {
        ec = http::error::bad_transfer_encoding;
        return;
    }
    reader_.head_.headers.add(
        std::string(name_string.data(), name_string.size()),
        std::string(value.data(), value.size())
    );
}

void ResponseReader::Parser::on_header_impl(Ec& ec) {
    ec = Ec();
    in_header_ = false;
    header_bytes_ = 0;
    constexpr int first_final = 200;
    constexpr int switching_protocols = 101;
    if (reader_.head_.status == switching_protocols) {
        ec = http::error::bad_status;
        return;
    }
    reader_.head_complete_ = reader_.head_.status >= first_final;
}

void ResponseReader::Parser::on_body_init_impl(
    const boost::optional<std::uint64_t>& /*length*/,
    Ec& ec
) {
    ec = Ec();
}

std::size_t ResponseReader::Parser::on_body_impl(View body, Ec& ec) {
    ec = Ec();
    reader_.body_->append(body.data(), body.size());
    return body.size();
}

void ResponseReader::Parser::on_chunk_header_impl(
    std::uint64_t /*size*/,
    View /*extensions*/,
    Ec& ec
) {
    ec = Ec();
}

std::size_t ResponseReader::Parser::on_chunk_body_impl(
    std::uint64_t /*remain*/,
    View body,
    Ec& ec
) {
    ec = Ec();
    reader_.body_->append(body.data(), body.size());
    return body.size();
}

void ResponseReader::Parser::on_finish_impl(Ec& ec) {
    ec = Ec();
}

ResponseReader::ResponseReader(std::size_t max_header_bytes, bool head_request)
    : max_header_bytes_(max_header_bytes),
      head_request_(head_request) {
    parser_.emplace(*this, max_header_bytes, head_request);
}

bool ResponseReader::fail(Errc code, std::string text) {
    problem_ = code;
    problem_text_ = std::move(text);
    return false;
}

bool ResponseReader::feed(std::string_view bytes, std::string& body) {
    if (bytes.empty()) {
        return true;
    }
    started_ = true;
    if (complete_) {
        surplus_ = true;
        return true;
    }
    body_ = &body;
    const bool joined = !rest_.empty();
    if (joined) {
        rest_.append(bytes);
    }
    input_ = joined ? std::string_view(rest_) : bytes;
    problem_text_.clear();
    const std::size_t used = parse(input_);
    body_ = nullptr;
    if (!problem_text_.empty()) {
        return false;
    }
    if (complete_) {
        surplus_ = used < input_.size();
        rest_ = std::string();
        return true;
    }
    if (joined) {
        rest_.erase(0, used);
    } else if (used < bytes.size()) {
        rest_.assign(bytes.substr(used));
    }
    if (rest_.size() > max_header_bytes_ + max_unparsed_slack) {
        return fail(Errc::malformed_http, "a chunk header of the answer is too long");
    }
    return true;
}

std::size_t ResponseReader::parse(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size()) {
        boost::beast::error_code error;
        try {
            used += parser_->put(
                boost::asio::const_buffer(bytes.data() + used, bytes.size() - used),
                error
            );
        } catch (const std::invalid_argument&) {
            error = http::error::bad_field;
        }
        if (error == http::error::need_more) {
            return used;
        }
        if (error == http::error::header_limit) {
            fail(
                Errc::header_too_large,
                "the header of the answer is larger than " + std::to_string(max_header_bytes_) +
                    " bytes; raise connection.max_header_bytes if that is intended"
            );
            return used;
        }
        if (error) {
            fail(
                Errc::malformed_http,
                "the answer is not valid HTTP/1.1 (" + error.message() +
                    "); check that model.base_url names an HTTP server and its scheme is right"
            );
            return used;
        }
        if (parser_->is_done() && finish_message()) {
            return used;
        }
    }
    return used;
}

bool ResponseReader::finish_message() {
    if (head_complete_) {
        complete_ = true;
        reusable_ = parser_->keep_alive() && !parser_->must_end_by_close();
        return true;
    }
    if (++interim_ > max_interim_answers) {
        fail(Errc::malformed_http, "too many interim answers before the final one");
        return true;
    }
    head_ = HttpResponse();
    parser_.emplace(*this, max_header_bytes_, head_request_);
    return false;
}

bool ResponseReader::end(bool orderly) {
    if (complete_) {
        return true;
    }
    if (head_complete_ && orderly && parser_->must_end_by_close()) {
        complete_ = true;
        reusable_ = false;
        return true;
    }
    std::string text = head_complete_
                           ? "the server ended the connection inside the answer's body"
                           : "the server ended the connection inside the answer's header";
    if (head_complete_ && parser_->must_end_by_close()) {
        text += " (no TLS close_notify marks its end)";
    }
    return fail(Errc::truncated_response, std::move(text));
}

}  // namespace llmproc::net
