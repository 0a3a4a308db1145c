#include "testing/reply_plan.hpp"

#include "testing/ascii.hpp"

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::testing {

namespace {

std::string reason_phrase(int status) {
    const auto known = boost::beast::http::int_to_status(static_cast<unsigned>(status));
    return std::string(boost::beast::http::obsolete_reason(known));
}

std::string head_start(int status, const std::string& reason) {
    return "HTTP/1.1 " + std::to_string(status) + " " +
           (reason.empty() ? reason_phrase(status) : reason) + "\r\n";
}

void append_headers(std::string& text, const Headers& headers) {
    for (const auto& [name, value] : headers) {
        text += name;
        text += ": ";
        text += value;
        text += "\r\n";
    }
}

bool has(const Headers& headers, std::string_view name) {
    return std::any_of(headers.begin(), headers.end(), [name](const auto& header) {
        return equal_ignoring_case(header.first, name);
    });
}

Framing framing_of(const ReplySpec& spec) {
    if (spec.framing != Framing::automatic) {
        return spec.framing;
    }
    return spec.pieces.empty() ? Framing::content_length : Framing::chunked;
}

std::size_t body_size(const ReplySpec& spec) {
    std::size_t size = spec.body.size();
    for (const ReplyPiece& piece : spec.pieces) {
        size += piece.bytes.size();
    }
    return size;
}

bool bodiless(int status) {
    return status < 200 || status == 204 || status == 304;
}

std::string head_of(const ReplySpec& spec, ReplyEnd end) {
    std::string head;
    for (const auto& [status, headers] : spec.interim) {
        head += head_start(status, std::string());
        append_headers(head, headers);
        head += "\r\n";
    }
    head += head_start(spec.status, spec.reason);
    append_headers(head, spec.headers);
    const bool framed = has(spec.headers, "Content-Length") ||
                        has(spec.headers, "Transfer-Encoding");
    if (!framed && !bodiless(spec.status)) {
        if (framing_of(spec) == Framing::content_length) {
            head += "Content-Length: " + std::to_string(body_size(spec)) + "\r\n";
        } else if (framing_of(spec) == Framing::chunked) {
            head += "Transfer-Encoding: chunked\r\n";
        }
    }
    if (end == ReplyEnd::close_announced && !has(spec.headers, "Connection")) {
        head += "Connection: close\r\n";
    }
    return head + "\r\n";
}

std::string framed_piece(const std::string& bytes, Framing framing) {
    if (framing != Framing::chunked) {
        return bytes;
    }
    if (bytes.empty()) {
        return {};  // an empty chunk would end the body
    }
    char size[20];  // NOLINT(modernize-avoid-c-arrays)
    std::snprintf(size, sizeof(size), "%zx\r\n", bytes.size());
    return size + bytes + "\r\n";
}

void add_body(const ReplySpec& spec, std::vector<ReplyPiece>& steps) {
    const Framing framing = framing_of(spec);
    if (!spec.body.empty()) {
        steps.emplace_back(framed_piece(spec.body, framing), std::chrono::milliseconds(0));
    }
    for (const ReplyPiece& piece : spec.pieces) {
        steps.emplace_back(framed_piece(piece.bytes, framing), piece.delay);
    }
    if (framing == Framing::chunked) {
        std::string last = "0\r\n";
        append_headers(last, spec.trailers);
        steps.emplace_back(last + "\r\n", std::chrono::milliseconds(0));
    }
}

/// Fewer writes mean fewer packets and records, as with a server that buffers.
std::vector<ReplyPiece> merge_undelayed(std::vector<ReplyPiece> steps, bool keep_pieces) {
    std::vector<ReplyPiece> merged;
    for (ReplyPiece& step : steps) {
        const bool join = !merged.empty() && step.delay.count() == 0 && !keep_pieces;
        if (join) {
            merged.back().bytes += step.bytes;
        } else {
            merged.push_back(std::move(step));
        }
    }
    return merged;
}

void cut(std::vector<ReplyPiece>& steps, std::size_t limit) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
        std::string& bytes = steps[i].bytes;
        if (bytes.size() > limit) {
            bytes.resize(limit);
            steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(i) + 1, steps.end());
            return;
        }
        limit -= bytes.size();
    }
}

std::vector<ReplyPiece> split(const std::vector<ReplyPiece>& steps, std::size_t size) {
    std::vector<ReplyPiece> parts;
    for (const ReplyPiece& step : steps) {
        std::chrono::milliseconds delay = step.delay;
        for (std::size_t at = 0; at < step.bytes.size(); at += size) {
            parts.emplace_back(step.bytes.substr(at, size), delay);
            delay = std::chrono::milliseconds(0);
        }
    }
    return parts;
}

}  // namespace

ReplyPlan make_plan(const ReplySpec& spec, const PlanContext& context) {
    ReplyPlan plan;
    plan.end = spec.end;
    plan.close_notify = spec.close_notify;
    const bool delimited_by_close = !spec.raw && framing_of(spec) == Framing::close_delimited;
    if (plan.end == ReplyEnd::keep_alive && (delimited_by_close || context.last_on_connection)) {
        plan.end = ReplyEnd::close_announced;
    }
    if (spec.raw) {
        plan.steps.emplace_back(*spec.raw, spec.delay);
    } else {
        plan.steps.emplace_back(head_of(spec, plan.end), spec.delay);
        if (!context.head_request && !bodiless(spec.status)) {
            add_body(spec, plan.steps);
        }
    }
    // pieces of a scripted stream stay writes of their own; a plain body goes with its head
    plan.steps = merge_undelayed(std::move(plan.steps), spec.pieces.size() > 1);
    if (spec.cut_after) {
        cut(plan.steps, *spec.cut_after);
    }
    if (spec.split_every > 0) {
        plan.steps = split(plan.steps, spec.split_every);
    }
    return plan;
}

}  // namespace llmproc::testing
