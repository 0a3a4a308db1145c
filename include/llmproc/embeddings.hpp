/// @file
/// Texts turned into vectors.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/usage.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace llmproc {

/// Which texts to turn into vectors, and by what.
struct LLMPROC_API EmbedRequest {
    EmbedRequest() = default;
    explicit EmbedRequest(std::vector<std::string> all, std::string by_model = std::string())
        : texts(std::move(all)),
          model(std::move(by_model)) {}

    std::vector<std::string> texts;
    std::string model;  ///< Empty = `model.embedding_model`; never the model that chats.
    std::optional<std::int64_t> dimensions;  ///< Length of a vector; none = the model's own.
    /// The most texts of one request; 0 = as many as the provider takes. More texts are sent as
    /// several requests, one after the other.
    std::size_t batch = 0;
};

/// What came of them.
struct LLMPROC_API Embeddings {
    Embeddings() = default;

    std::vector<std::vector<float>> vectors;  ///< In the order of the texts.
    Usage usage;                              ///< Of all requests; the process's stats have it too.
    std::string model;  ///< That made them, by the provider's account, else as asked for.
};

}  // namespace llmproc
