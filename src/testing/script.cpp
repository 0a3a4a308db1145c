#include <llmproc/testing/any_provider.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/script.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {

namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
    throw std::runtime_error("script: " + where + ": " + what + "; see docs/testing.md");
}

/// One object of the script; names the place in every complaint.
class Node {
public:
    Node(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {
        if (!json.is_object()) {
            fail(where_, "expected an object");
        }
    }

    void allow(std::initializer_list<const char*> keys) const {
        for (const auto& [key, value] : json_->items()) {
            bool known = false;
            for (const char* allowed : keys) {
                known = known || key == allowed;
            }
            if (!known) {
                fail(where_ + "." + key, "unknown key");
            }
        }
    }

    bool has(const char* key) const { return json_->contains(key); }
    std::string path(const char* key) const { return where_ + "." + key; }
    const Json& at(const char* key) const { return json_->at(key); }

    std::string text(const char* key) const {
        if (!at(key).is_string()) {
            fail(path(key), "expected a string");
        }
        return at(key).get<std::string>();
    }

    bool flag(const char* key, bool otherwise) const {
        if (!has(key)) {
            return otherwise;
        }
        if (!at(key).is_boolean()) {
            fail(path(key), "expected true or false");
        }
        return at(key).get<bool>();
    }

    std::size_t number(const char* key, std::size_t limit = 1U << 30U) const {
        const Json& value = at(key);
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() > limit) {
            fail(path(key), "expected a whole number from 0 to " + std::to_string(limit));
        }
        return value.get<std::size_t>();
    }

    std::chrono::milliseconds milliseconds(const char* key) const {
        return std::chrono::milliseconds(number(key));
    }

    const Json& array(const char* key) const {
        if (!at(key).is_array()) {
            fail(path(key), "expected an array");
        }
        return at(key);
    }

    std::vector<std::string> texts(const char* key) const {
        std::vector<std::string> values;
        for (const Json& item : array(key)) {
            if (!item.is_string()) {
                fail(path(key), "expected an array of strings");
            }
            values.push_back(item.get<std::string>());
        }
        return values;
    }

private:
    const Json* json_;
    std::string where_;
};

std::vector<OpenAIToolCall> tool_calls(const Node& node, const char* key) {
    std::vector<OpenAIToolCall> calls;
    for (const Json& item : node.array(key)) {
        const Node call(item, node.path(key) + "[" + std::to_string(calls.size()) + "]");
        call.allow({"id", "name", "arguments"});
        for (const char* needed : {"id", "name", "arguments"}) {
            if (!call.has(needed)) {
                fail(call.path(needed), "missing");
            }
        }
        const Json& arguments = call.at("arguments");
        calls.emplace_back(
            call.text("id"),
            call.text("name"),
            arguments.is_string() ? arguments.get<std::string>() : arguments.dump()
        );
    }
    return calls;
}

Reply pieces_reply(const Node& node) {
    Reply reply;
    for (const std::string& piece : node.texts("pieces")) {
        reply.piece(piece);
    }
    return reply;
}

constexpr std::initializer_list<const char*> contents =
    {"json", "body", "sse", "pieces", "raw", "openai_text", "openai_stream", "openai_tool_calls"};

Reply content_of(const Node& node, const std::string& where) {
    std::string found;
    for (const char* key : contents) {
        if (node.has(key)) {
            if (!found.empty()) {
                fail(where, "'" + found + "' and '" + key + "' exclude each other");
            }
            found = key;
        }
    }
    if (found == "json") {
        return Reply::json(node.at("json").dump());
    }
    if (found == "body") {
        return Reply().body(node.text("body"));
    }
    if (found == "sse") {
        return Reply::sse(node.texts("sse"));
    }
    if (found == "pieces") {
        return pieces_reply(node);
    }
    if (found == "raw") {
        return Reply().raw(node.text("raw"));
    }
    if (found == "openai_text") {
        return openai_chat_reply(node.text("openai_text"));
    }
    if (found == "openai_stream") {
        return openai_chat_stream(node.texts("openai_stream"));
    }
    if (found == "openai_tool_calls") {
        return openai_tool_call_reply(tool_calls(node, "openai_tool_calls"));
    }
    return {};
}

void add_head(const Node& node, Reply& reply) {
    if (node.has("status")) {
        reply.with_status(static_cast<int>(node.number("status", 999)));
    }
    if (node.has("headers")) {
        const Json& headers = node.at("headers");
        const Node checked(headers, node.path("headers"));
        for (const auto& [name, value] : headers.items()) {
            reply.header(name, checked.text(name.c_str()));
        }
    }
    if (node.has("framing")) {
        const std::string framing = node.text("framing");
        if (framing == "content_length") {
            reply.framing(Framing::content_length);
        } else if (framing == "chunked") {
            reply.framing(Framing::chunked);
        } else if (framing == "close_delimited") {
            reply.framing(Framing::close_delimited);
        } else {
            fail(node.path("framing"), "expected content_length, chunked or close_delimited");
        }
    }
}

void add_timing(const Node& node, Reply& reply) {
    if (node.has("delay_ms")) {
        reply.delay(node.milliseconds("delay_ms"));
    }
    if (node.has("piece_delay_ms")) {
        reply.piece_delay(node.milliseconds("piece_delay_ms"));
    }
    if (node.has("split_every")) {
        reply.split_every(node.number("split_every"));
    }
}

void add_end(const Node& node, Reply& reply) {
    if (node.has("reset_after")) {
        reply.reset_after(node.number("reset_after"));
    }
    if (node.has("truncate_after")) {
        reply.truncate_after(node.number("truncate_after"));
    }
    if (node.has("hold_after")) {
        reply.hold_after(node.number("hold_after"));
    }
    if (node.flag("close_after", false)) {
        reply.close_after();
    }
    if (node.flag("close_silently_after", false)) {
        reply.close_silently_after();
    }
    if (node.flag("close_without_answer", false)) {
        reply.close_without_answer();
    }
    if (node.flag("hold", false)) {
        reply.hold();
    }
}

Reply reply_of(const Json& json, const std::string& where) {
    const Node node(json, where);
    node.allow(
        {"status",
         "headers",
         "framing",
         "json",
         "body",
         "sse",
         "pieces",
         "raw",
         "openai_text",
         "openai_stream",
         "openai_tool_calls",
         "delay_ms",
         "piece_delay_ms",
         "split_every",
         "reset_after",
         "truncate_after",
         "hold_after",
         "close_after",
         "close_silently_after",
         "close_without_answer",
         "hold",
         "repeat"}
    );
    Reply reply = content_of(node, where);
    add_head(node, reply);
    add_timing(node, reply);
    add_end(node, reply);
    return reply;
}

Json parse(std::string_view text) {
    try {
        return Json::parse(text);
    } catch (const Json::exception& error) {
        fail("$", error.what());
    }
}

Node root_of(const Json& json) {
    Node root(json, "$");
    root.allow(
        {"https",
         "host",
         "port",
         "keep_alive_requests",
         "idle_timeout_ms",
         "hold_until_open_requests",
         "replies",
         "default"}
    );
    return root;
}

}  // namespace

ServerOptions script_options(std::string_view json) {
    const Json parsed = parse(json);
    const Node root = root_of(parsed);
    ServerOptions options;
    options.https(root.flag("https", true));
    if (root.has("host")) {
        options.host(root.text("host"));
    }
    if (root.has("port")) {
        const std::size_t port = root.number("port", std::numeric_limits<std::uint16_t>::max());
        options.port(static_cast<std::uint16_t>(port));
    }
    if (root.has("keep_alive_requests")) {
        options.keep_alive_requests(root.number("keep_alive_requests"));
    }
    if (root.has("idle_timeout_ms")) {
        options.idle_timeout(root.milliseconds("idle_timeout_ms"));
    }
    return options;
}

void apply_script(std::string_view json, ScriptedServer& server) {
    const Json parsed = parse(json);
    const Node root = root_of(parsed);
    std::vector<Reply> replies;
    if (root.has("replies")) {
        std::size_t index = 0;
        for (const Json& item : root.array("replies")) {
            const std::string where = "$.replies[" + std::to_string(index++) + "]";
            const Reply reply = reply_of(item, where);
            const std::size_t times = item.contains("repeat")
                                          ? Node(item, where).number("repeat", 100'000)
                                          : 1;
            replies.insert(replies.end(), times, reply);
        }
    }
    // the whole script is checked before any of it takes effect
    if (!root.has("default") || root.at("default") == "echo") {
        server.handle(any_provider_echo);
    } else {
        server.default_reply(reply_of(root.at("default"), root.path("default")));
    }
    for (Reply& reply : replies) {
        server.push(std::move(reply));
    }
    if (root.has("hold_until_open_requests")) {
        server.hold_until_open_requests(root.number("hold_until_open_requests"));
    }
}

}  // namespace llmproc::testing
