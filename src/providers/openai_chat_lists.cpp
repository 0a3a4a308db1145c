#include <llmproc/error.hpp>
#include "core/base64.hpp"
#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/answer_list.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_errors.hpp"
#include "providers/openai_fields.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

namespace {

LLMError reported_in_list(std::string_view body) {
    return make_provider_error(std::nullopt, parse_error_body(body), Headers());
}

ListShape data_list(std::string_view protocol, std::string_view what) {
    return {protocol, what, "data", false, reported_in_list};
}

std::vector<float> floats_from_base64(std::string_view text) {
    const std::optional<std::string> bytes = base64_decode(text);
    if (!bytes || bytes->size() % 4 != 0) {
        throw malformed("the list of embeddings", "an embedding is not base64 of float32");
    }
    std::vector<float> values;
    values.reserve(bytes->size() / 4);
    for (std::size_t at = 0; at < bytes->size(); at += 4) {
        std::uint32_t word = 0;
        for (std::size_t i = 0; i < 4; ++i) {  // little-endian on every machine
            word |= std::uint32_t{static_cast<unsigned char>((*bytes)[at + i])} << (8U * i);
        }
        values.push_back(std::bit_cast<float>(word));
    }
    return values;
}

std::vector<float> read_vector(JsonReader& reader) {
    if (reader.peek() == JsonKind::string) {
        return floats_from_base64(reader.string());
    }
    std::vector<float> values;
    reader.begin_array();
    while (reader.next_element()) {
        values.push_back(static_cast<float>(reader.number()));
    }
    return values;
}

}  // namespace

ModelPage decode_model_list(std::string_view body, std::string_view protocol) {
    ModelPage page;
    bool more = false;
    std::string last;
    const auto read_model = [&page](JsonReader& reader) {
        std::string id;
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key == "id") {
                id = reader.string();
            } else {
                reader.skip();
            }
        }
        if (!id.empty()) {
            page.models.push_back(std::move(id));
        }
    };
    const auto read_other = [&](std::string_view key, JsonReader& reader) {
        if (key == "has_more" && reader.peek() == JsonKind::boolean) {
            more = reader.boolean();
        } else if (key == "last_id") {
            last = read_string_or_empty(reader);
        } else {
            reader.skip();
        }
    };
    read_list(data_list(protocol, "the list of models"), body, read_model, read_other);
    if (more && !page.models.empty()) {
        page.next = last.empty() ? page.models.back() : std::move(last);
    }
    return page;
}

std::string encode_embeddings_body(const EmbedRequest& request) {
    std::string body;
    JsonWriter json(body);
    json.begin_object();
    json.key("model");
    json.string(request.model);
    json.key("input");
    json.begin_array();
    for (const std::string& text : request.texts) {
        json.string(text);
    }
    json.end_array();
    write_integer(json, "dimensions", request.dimensions);
    // Compatible servers may know nothing but floats.
    json.key("encoding_format");
    json.string("float");
    json.end_object();
    return body;
}

Embeddings decode_embedding_list(std::string_view body) {
    Embeddings result;
    std::vector<std::pair<std::int64_t, std::vector<float>>> items;
    const auto read_item = [&items](JsonReader& reader) {
        auto& [index, values] = items.emplace_back();
        index = static_cast<std::int64_t>(items.size()) - 1;
        bool found = false;
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key == "index") {
                index = reader.integer();
            } else if (key == "embedding") {
                values = read_vector(reader);
                found = true;
            } else {
                reader.skip();
            }
        }
        if (!found) {
            throw malformed("the list of embeddings", "an item has no embedding");
        }
    };
    const auto read_other = [&result](std::string_view key, JsonReader& reader) {
        if (key == "usage" && reader.peek() == JsonKind::object) {
            result.usage = read_openai_usage(reader);
        } else if (key == "model") {
            result.model = read_string_or_empty(reader);
        } else {
            reader.skip();
        }
    };
    const ListShape shape = data_list("Chat Completions", "the list of embeddings");
    read_list(shape, body, read_item, read_other);
    std::stable_sort(items.begin(), items.end(), [](const auto& left, const auto& right) {
        return left.first < right.first;
    });
    result.vectors.reserve(items.size());
    for (auto& item : items) {
        result.vectors.push_back(std::move(item.second));
    }
    return result;
}

}  // namespace llmproc::providers
