// What a process asks the provider beside the conversation: token counts, embeddings, models.
#include "process/count_tokens.hpp"
#include "process/operations.hpp"
#include "process/reported_operation.hpp"
#include "process/token_estimate.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {

namespace asio = boost::asio;

namespace {

/// Providers limit the tokens of one request too; a token is rarely shorter than two bytes.
constexpr std::size_t max_batch_bytes = 512UL * 1024;
/// A call that needs more is more likely a mistake.
constexpr std::size_t max_batches = 1000;
/// A list that goes on has no end.
constexpr std::size_t max_model_pages = 100;
/// Several times the longest known, so that an answer takes memory in proportion to its texts.
constexpr std::size_t max_dimensions = 64UL * 1024;

[[noreturn]] void not_supported(
    const ProcessCore& core,
    std::string_view what,
    std::string_view remedy
) {
    std::string text = "the provider '" + core.settings().endpoint.provider + "' (protocol ";
    text.append(core.settings().codec->name()).append(") has no ").append(what).append("; ");
    text.append(remedy);
    throw LLMError(Errc::not_supported, text);
}

asio::awaitable<void> count_body(
    std::shared_ptr<ActiveCall> call,
    std::shared_ptr<Outcome<TokenCount>> outcome
) {
    const TokenCount count = co_await count_conversation(*call, outcome->note);
    outcome->value.emplace(count);
}

/// Cuts the texts of a call into requests and joins their answers.
class EmbeddingBatches {
public:
    /// Throws LLMError{invalid_argument} for a call that cannot be made.
    EmbeddingBatches(EmbedRequest all, const ProcessSettings& settings)
        : rest_(std::move(all)),
          limit_(settings.codec->embeddings_per_request()) {
        if (rest_.model.empty()) {
            throw LLMError(
                Errc::invalid_argument,
                "no embedding model is named (the model that chats makes no embeddings); set "
                "model.embedding_model in the program or EmbedRequest::model"
            );
        }
        if (rest_.texts.empty()) {
            throw LLMError(Errc::invalid_argument, "embed needs at least one text");
        }
        if (rest_.dimensions && *rest_.dimensions < 1) {
            throw LLMError(
                Errc::invalid_argument,
                "EmbedRequest::dimensions is " + std::to_string(*rest_.dimensions) +
                    "; give at least 1, or none for the model's own"
            );
        }
        limit_ = rest_.batch == 0 ? limit_ : std::min(limit_, rest_.batch);
        count();
    }

    const std::string& model() const noexcept { return rest_.model; }
    bool done() const noexcept { return begin_ == rest_.texts.size(); }

    /// The next request: as many texts as it may have.
    EmbedRequest next() {
        const std::size_t end = end_of(begin_);
        EmbedRequest part(std::vector<std::string>(), rest_.model);
        part.dimensions = rest_.dimensions;
        const auto texts = rest_.texts.begin();
        part.texts.assign(
            std::make_move_iterator(texts + static_cast<std::ptrdiff_t>(begin_)),
            std::make_move_iterator(texts + static_cast<std::ptrdiff_t>(end))
        );
        begin_ = end;
        return part;
    }

    /// Takes the answer to the last request. Throws LLMError{malformed_response}.
    void add(Embeddings some) {
        if (result_.vectors.size() + some.vectors.size() != begin_) {
            throw LLMError(
                Errc::malformed_response,
                "the provider sent " + std::to_string(some.vectors.size()) + " embeddings for " +
                    std::to_string(begin_ - result_.vectors.size()) + " texts"
            );
        }
        for (std::vector<float>& vector : some.vectors) {
            check_length(vector.size());
            result_.vectors.push_back(std::move(vector));
        }
        result_.usage += some.usage;
        result_.model = some.model.empty() ? rest_.model : std::move(some.model);
    }

    Embeddings take() { return std::move(result_); }

private:
    std::size_t end_of(std::size_t begin) const {
        std::size_t end = begin;
        std::size_t bytes = 0;
        while (end < rest_.texts.size() && end - begin < limit_) {
            bytes += rest_.texts[end].size();
            if (bytes > max_batch_bytes && end > begin) {
                break;
            }
            ++end;
        }
        return end;
    }

    void check_length(std::size_t length) const {
        const std::size_t first = result_.vectors.empty() ? length : result_.vectors.front().size();
        if (length != first) {
            throw LLMError(
                Errc::malformed_response,
                "the provider sent embeddings of " + std::to_string(first) + " and of " +
                    std::to_string(length) + " dimensions; all of a model have one length"
            );
        }
        if (length > max_dimensions) {
            throw LLMError(
                Errc::body_too_large,
                "the provider sent embeddings of " + std::to_string(length) +
                    " dimensions, more than " + std::to_string(max_dimensions)
            );
        }
    }

    void count() const {
        std::size_t batches = 0;
        for (std::size_t at = 0; at < rest_.texts.size(); at = end_of(at)) {
            ++batches;
        }
        if (batches > max_batches) {
            throw LLMError(
                Errc::invalid_argument,
                std::to_string(rest_.texts.size()) + " texts would need " +
                    std::to_string(batches) + " requests, more than " +
                    std::to_string(max_batches) + "; embed them in several calls"
            );
        }
    }

    EmbedRequest rest_;
    std::size_t limit_;
    std::size_t begin_ = 0;
    Embeddings result_;
};

ExchangePlan plan_of(
    const ProcessSettings& settings,
    const EmbedRequest& request,
    const HttpRequest& encoded
) {
    ExchangePlan plan;
    plan.provider = settings.endpoint.provider;
    plan.model = request.model;
    plan.input_tokens = static_cast<std::int64_t>(encoded.body.size()) / bytes_per_token;
    plan.max_tokens = 0;
    return plan;
}

[[noreturn]] void no_embeddings(const ProcessCore& core) {
    not_supported(
        core,
        "embeddings",
        R"(start a program of a provider that has them, e.g. provider = "openai" or "gemini")"
    );
}

asio::awaitable<void> embed_body(
    std::shared_ptr<ActiveCall> call,
    std::shared_ptr<EmbedRequest> request,
    std::shared_ptr<Outcome<Embeddings>> outcome
) {
    ProcessCore& core = call->core();
    call->context().enter(Stage::none);
    const ProcessSettings& settings = core.settings();
    outcome->note = core.chat().describe(request->model);
    if (settings.codec->embeddings_per_request() == 0) {
        no_embeddings(core);
    }
    EmbeddingBatches batches(std::move(*request), settings);
    while (!batches.done()) {
        const EmbedRequest part = batches.next();
        std::optional<HttpRequest> encoded =
            settings.codec->encode_embeddings(part, settings.endpoint);
        if (!encoded) {
            no_embeddings(core);
        }
        providers::add_extra_headers(*encoded, settings.params);
        Exchange exchange(call->spending(), plan_of(settings, part, *encoded));
        Embeddings some = co_await core.chat().fetch(
            call->context(),
            call->retry(),
            std::move(*encoded),
            &Codec::decode_embeddings,
            outcome->note,
            &exchange
        );
        exchange.succeeded(some.usage);
        batches.add(std::move(some));
    }
    outcome->value.emplace(batches.take());
}

/// The pages of a list, each of which is bounded by itself, joined.
class ModelList {
public:
    explicit ModelList(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}

    /// Throws LLMError{body_too_large}.
    void add(std::vector<std::string> some) {
        for (std::string& model : some) {
            bytes_ += sizeof(std::string) + model.size();
            if (bytes_ > max_bytes_) {
                throw LLMError(
                    Errc::body_too_large,
                    "all pages of the provider's list of models exceed connection.max_body_bytes (" +
                        std::to_string(max_bytes_) + ")"
                );
            }
            models_.push_back(std::move(model));
        }
    }
    std::vector<std::string> take() { return std::move(models_); }

private:
    std::size_t max_bytes_;
    std::size_t bytes_ = 0;
    std::vector<std::string> models_;
};

asio::awaitable<void> list_models_body(
    std::shared_ptr<ActiveCall> call,
    std::shared_ptr<Outcome<std::vector<std::string>>> outcome
) {
    ProcessCore& core = call->core();
    call->context().enter(Stage::none);
    const ProcessSettings& settings = core.settings();
    outcome->note = core.chat().describe(std::string());
    ModelList models(settings.connection.max_body_bytes);
    ModelPage page;
    for (std::size_t pages = 0; pages == 0 || !page.next.empty(); ++pages) {
        if (pages == max_model_pages) {
            throw LLMError(
                Errc::malformed_response,
                "the provider's list of models does not end after " +
                    std::to_string(max_model_pages) + " pages"
            );
        }
        std::optional<HttpRequest> encoded =
            settings.codec->encode_list_models(settings.endpoint, page.next);
        if (!encoded) {
            not_supported(core, "list of models", "see the provider's documentation");
        }
        providers::add_extra_headers(*encoded, settings.params);
        ModelPage next = co_await core.chat().fetch(
            call->context(),
            call->retry(),
            std::move(*encoded),
            &Codec::decode_list_models,
            outcome->note
        );
        page = std::move(next);
        models.add(std::move(page.models));
    }
    outcome->value.emplace(models.take());
}

}  // namespace

Operation<TokenCount> make_count_tokens(
    const std::shared_ptr<ProcessCore>& core,
    const RunOptions& options
) {
    auto operation = prepared<TokenCount>(*core, options, "count_tokens");
    auto call = core->open_call(operation.context, options);
    operation.body = [call, outcome = operation.outcome]() mutable {
        return count_body(std::move(call), std::move(outcome));
    };
    report_to_observer(operation);
    return operation;
}

Operation<Embeddings> make_embed(
    const std::shared_ptr<ProcessCore>& core,
    EmbedRequest request,
    const RunOptions& options
) {
    auto operation = prepared<Embeddings>(*core, options, "embeddings");
    auto call = core->open_call(operation.context, options);
    if (request.model.empty()) {
        request.model = core->settings().embedding_model;
    }
    if (operation.context->trace()) {
        core->chat().introduce(operation.context->trace(), request.model);
    }
    auto shared = std::make_shared<EmbedRequest>(std::move(request));
    operation.body = [call, shared, outcome = operation.outcome]() mutable {
        return embed_body(std::move(call), std::move(shared), std::move(outcome));
    };
    report_to_observer(operation);
    return operation;
}

Operation<std::vector<std::string>> make_list_models(
    const std::shared_ptr<ProcessCore>& core,
    const RunOptions& options
) {
    auto operation = prepared<std::vector<std::string>>(*core, options, "list_models");
    auto call = core->open_call(operation.context, options);
    operation.body = [call, outcome = operation.outcome]() mutable {
        return list_models_body(std::move(call), std::move(outcome));
    };
    report_to_observer(operation);
    return operation;
}

}  // namespace llmproc
