#include "core/json_writer.hpp"
#include "providers/gemini.hpp"
#include "providers/request_parts.hpp"
#include "providers/tool_names.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc::providers {

namespace {

/// Gemini 3 and later want a signature at the first call of a step; this value stands for that of a
/// call that has none, since another provider's or an older model made it.
constexpr std::string_view no_signature =
    R"(,"thoughtSignature":"skip_thought_signature_validator")";

/// Unknown names count as new: only the old families are known not to want signatures.
bool wants_signatures(std::string_view model) {
    return model.find("gemini-1") == model.npos && model.find("gemini-2") == model.npos;
}

void append_gemini_parts(std::string& out, const Message& message, bool /*developer_role*/) {
    if (message.role() == Role::assistant) {
        append_model_parts(out, message);
    } else {
        append_result_bodies(out, message);
        append_user_parts(out, message);
    }
}

/// Appends contents. The results of one step become one content, in the order of the calls.
class ContentList {
public:
    ContentList(std::string& out, bool sign) noexcept : out_(out), sign_(sign) {}

    void add(const Message& message, std::string_view encoded) {
        if (message.role() == Role::assistant) {
            flush();
            note_calls(message);
            add_model(encoded);
            return;
        }
        const std::size_t before = results_.size();
        encoded.remove_prefix(take_results(message, encoded));
        if (results_.empty()) {
            add_content("user", encoded);
        } else if (results_.size() != before) {
            append_parts(rest_, encoded);
        } else {
            flush();
            add_content("user", encoded);
        }
    }

    void flush() {
        if (results_.empty()) {
            return;
        }
        // Calls without ids are told apart by their order alone.
        std::stable_sort(results_.begin(), results_.end(), [](const auto& left, const auto& right) {
            return left.position < right.position;
        });
        begin("user");
        std::string_view separator;
        for (const Result& result : results_) {
            out_ += separator;
            write(result);
            separator = ",";
        }
        if (!rest_.empty()) {
            out_.append(separator).append(rest_);
        }
        end();
        results_.clear();
        rest_.clear();
    }

    bool empty() const noexcept { return !any_; }

private:
    struct Call {
        std::string_view name;
        std::size_t position = 0;
    };
    struct Result {
        std::string_view id;
        std::string_view name;
        std::string_view body;
        std::size_t position = 0;
    };

    void note_calls(const Message& message) {
        for (const ContentBlock& block : message.content()) {
            if (const auto* call = std::get_if<ToolCallBlock>(&block)) {
                calls_[call->id] = Call{call->name, next_position_++};
            }
        }
    }

    /// Takes the results' bodies from the beginning of `encoded`; how many bytes they were.
    std::size_t take_results(const Message& message, std::string_view encoded) {
        std::size_t begin = 0;
        for (const ContentBlock& block : message.content()) {
            const auto* const result = std::get_if<ToolResultBlock>(&block);
            if (result == nullptr) {
                continue;
            }
            const auto call = calls_.find(result->call_id);
            if (call == calls_.end()) {
                invalid_request(
                    "the tool result for the call \"" + result->call_id +
                    "\" has no such call before it, whose name Gemini needs; keep the "
                    "assistant's message with the call in the conversation"
                );
            }
            const std::size_t end = encoded.find('\0', begin);
            results_.push_back(
                {result->call_id,
                 call->second.name,
                 encoded.substr(begin, end - begin),
                 call->second.position}
            );
            begin = end + 1;
        }
        return begin;
    }

    void write(const Result& result) {
        out_ += R"({"functionResponse":{)";
        JsonWriter json(out_);
        if (!result.id.empty() && !result.id.starts_with(made_call_id)) {
            json.key("id");
            json.string(result.id);
        }
        json.key("name");
        json.string(wire_tool_name(result.name, gemini_tool_names));
        out_.append(",").append(result.body).append("}}");
    }

    void add_model(std::string_view encoded) {
        const std::size_t mark = encoded.find('\0');
        if (mark == encoded.npos) {
            add_content("model", encoded);
            return;
        }
        begin("model");
        out_ += encoded.substr(0, mark);
        out_ += sign_ ? no_signature : std::string_view();
        out_ += encoded.substr(mark + 1);
        end();
    }

    /// The API refuses a content without parts.
    void add_content(std::string_view role, std::string_view parts) {
        if (!parts.empty()) {
            begin(role);
            out_ += parts;
            end();
        }
    }

    static void append_parts(std::string& list, std::string_view parts) {
        if (!parts.empty()) {
            list.append(list.empty() ? "" : ",").append(parts);
        }
    }

    void begin(std::string_view role) {
        out_ += std::exchange(any_, true) ? "," : "";
        out_.append(R"({"role":")").append(role).append(R"(","parts":[)");
    }
    void end() { out_ += "]}"; }

    std::string& out_;
    std::unordered_map<std::string_view, Call> calls_;
    std::vector<Result> results_;
    std::string rest_;
    std::size_t next_position_ = 0;
    bool sign_;
    bool any_ = false;
};

}  // namespace

void append_contents(
    std::string& out,
    const History& messages,
    std::string_view model,
    EncodeCache& cache
) {
    constexpr std::size_t frame = 32;
    const std::size_t bytes = fill_encode_cache(messages, cache, append_gemini_parts);
    out.reserve(out.size() + bytes + messages.size() * frame + 64);
    out += R"("contents":[)";
    ContentList list(out, wants_signatures(model));
    for (const auto& message : messages) {
        if (message->role() != Role::system) {
            list.add(*message, *cache.find(message));
        }
    }
    list.flush();
    if (list.empty()) {
        invalid_request("the request has no messages; add one with ChatRequest::add");
    }
    out.push_back(']');
}

}  // namespace llmproc::providers
