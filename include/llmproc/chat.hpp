/// @file
/// One exchange with a model: what is asked and what comes back.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/message.hpp>
#include <llmproc/raw_json.hpp>
#include <llmproc/usage.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {

/// Why the model stopped.
enum class StopReason {
    unknown,         ///< The provider gave a reason that is new; see `raw_stop_reason`.
    end_turn,        ///< It had said everything.
    max_tokens,      ///< The output limit cut it.
    stop_sequence,   ///< A stop text was reached.
    tool_use,        ///< It waits for the results of tool calls.
    refusal,         ///< It declined.
    content_filter,  ///< The provider's policy cut it.
    /// A tool that the provider runs takes long: the reply is a part of a turn. To have the rest,
    /// send the history with it as it is, without a new message (`complete`).
    pause_turn,
};

/// The reason's name, e.g. "end_turn".
LLMPROC_API std::string_view to_string(StopReason reason) noexcept;

/// How the model reasons before it answers.
struct LLMPROC_API Thinking {
    enum class Mode {
        off,       ///< It shall not.
        adaptive,  ///< As much as it finds right.
        budget,    ///< At most `budget_tokens`.
    };
    Thinking() = default;
    explicit Thinking(Mode how) : mode(how) {}
    static Thinking budget(std::int64_t tokens);

    Mode mode = Mode::adaptive;
    std::int64_t budget_tokens = 0;  ///< With Mode::budget.
    friend bool operator==(const Thinking&, const Thinking&) = default;
};

/// A tool that the provider runs itself, e.g. its web search.
struct LLMPROC_API HostedTool {
    HostedTool() = default;
    explicit HostedTool(std::string which) : kind(std::move(which)) {}
    HostedTool(std::string which, RawJson settings)
        : kind(std::move(which)),
          options(std::move(settings)) {}

    /// "web_search", "web_fetch", "code_execution", "file_search", "url_context", or the
    /// provider's own name of a tool; each protocol says which it knows.
    std::string kind;
    std::optional<RawJson> options;  ///< A JSON object: members of the provider's own entry.
    friend bool operator==(const HostedTool&, const HostedTool&) = default;
};

/// Settings of the model; only what is set is sent, there are no defaults.
struct LLMPROC_API SamplingParams {
    SamplingParams() = default;

    /// Takes from `defaults` what is not set here; its headers come first, so equal names here win.
    SamplingParams& fill_from(const SamplingParams& defaults);

    std::optional<double> temperature;
    std::optional<double> top_p;
    std::optional<std::int64_t> top_k;
    std::optional<std::int64_t> max_tokens;
    std::optional<std::int64_t> seed;
    std::vector<std::string> stop;
    std::optional<std::string> reasoning_effort;
    std::optional<Thinking> thinking;
    /// Ask for the provider's automatic prompt caching, where it must be asked for.
    std::optional<bool> prompt_caching;
    std::vector<HostedTool> hosted_tools;
    /// JSON Schema that the answer must follow, by the provider's structured output.
    std::optional<RawJson> response_schema;
    /// Rewrite the schemas of the answer and of tools into what the provider takes, instead of
    /// sending them as they are.
    std::optional<bool> adapt_schemas;
    /// A JSON object merged last, objects at every depth, `tools` appended, all else replaced.
    std::optional<RawJson> extra_body;
    /// Sent with each request, after the library's own headers; replaces equal names.
    std::vector<std::pair<std::string, std::string>> extra_headers;
};

/// A tool as the model sees it.
struct LLMPROC_API ToolSpec {
    ToolSpec() = default;
    ToolSpec(std::string tool_name, std::string text, RawJson schema)
        : name(std::move(tool_name)),
          description(std::move(text)),
          parameters(std::move(schema)) {}

    std::string name;
    std::string description;
    RawJson parameters;          ///< JSON Schema of an object; `null` = no parameters.
    std::optional<bool> strict;  ///< OpenAI's and Anthropic's strict mode; none = not asked for.
};

/// Whether and which tool the model must call.
struct LLMPROC_API ToolChoice {
    enum class Mode { automatic, none, required, tool };
    ToolChoice() = default;
    explicit ToolChoice(Mode how) : mode(how) {}
    static ToolChoice tool(std::string name);

    Mode mode = Mode::automatic;
    std::string name;  ///< With Mode::tool.
};

/// Everything one exchange needs; holds no key.
struct LLMPROC_API ChatRequest {
    ChatRequest() = default;
    /// A request of one user message.
    explicit ChatRequest(std::string user_text);
    explicit ChatRequest(History history) : messages(std::move(history)) {}
    /// Adds a message.
    ChatRequest& add(Message message);

    std::string model;  ///< Empty = the program's model.
    std::string
        system;  ///< System prompt; empty = none is sent. `complete` falls back to no prompt.
    History messages;
    std::vector<ToolSpec> tools;
    std::optional<ToolChoice> tool_choice;
    std::optional<bool> parallel_tool_calls;
    SamplingParams params;
};

/// What the model answered.
struct LLMPROC_API ChatReply {
    ChatReply() = default;

    /// All text of the message.
    std::string text() const { return message.text(); }

    Message message;
    StopReason stop_reason = StopReason::unknown;
    std::string raw_stop_reason;  ///< The provider's own word.
    Usage usage;
    std::string model;       ///< The model that answered, by its own account.
    std::string id;          ///< The provider's id of the answer.
    std::string request_id;  ///< The provider's id of the HTTP request.
};

}  // namespace llmproc
