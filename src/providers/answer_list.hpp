/// @file
/// Answers that are lists: of models, of embeddings.
#pragma once

#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "providers/openai_errors.hpp"

#include <string>
#include <string_view>

namespace llmproc::providers {

/// What an answer's list is called, and what its errors say.
struct ListShape {
    std::string_view protocol;
    std::string_view what;  ///< e.g. "the list of models".
    std::string_view name;  ///< Of the member that is the array.
    bool may_be_absent;     ///< Whether the protocol leaves empty arrays out.
    /// The error that a body of status 200 reports.
    LLMError (*reported)(std::string_view body);
};

/// Calls `read_item(reader)` for each element; a null has none.
template <class ReadItem>
void read_elements(JsonReader& reader, ReadItem& read_item) {
    if (reader.consume_null()) {
        return;
    }
    reader.begin_array();
    while (reader.next_element()) {
        read_item(reader);
    }
}

/// Calls `read_item(reader)` for each element of the list and `read_other(key, reader)` for the
/// other members. A null is an empty list.
/// Throws LLMError: what the body reports, or malformed_response.
template <class ReadItem, class ReadOther>
void read_list(
    const ListShape& shape,
    std::string_view body,
    ReadItem read_item,
    ReadOther read_other
) {
    try {
        bool found = shape.may_be_absent;
        JsonReader reader(body);
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key == shape.name) {
                found = true;
                read_elements(reader, read_item);
            } else if (key != "error") {
                read_other(key, reader);
            } else if (read_provider_error(reader)) {
                throw shape.reported(body);
            }
        }
        reader.finish();
        if (!found) {
            throw malformed_answer(
                shape.protocol,
                shape.what,
                "it has no " + std::string(shape.name)
            );
        }
    } catch (const LLMError& error) {
        if (error.errc() == Errc::invalid_json) {
            throw malformed_answer(shape.protocol, shape.what, error.message());
        }
        throw;
    }
}

}  // namespace llmproc::providers
