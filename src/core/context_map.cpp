#include <llmproc/context_map.hpp>
#include "core/current_context.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

struct Item {
    std::string key;
    std::any value;
};

/// A view would dangle, and neither is a log field.
std::any owned(std::any value) {
    if (const auto* const text = std::any_cast<const char*>(&value)) {
        return std::string(*text != nullptr ? *text : "");
    }
    if (const auto* const text = std::any_cast<char*>(&value)) {
        return std::string(*text != nullptr ? *text : "");
    }
    if (const auto* const text = std::any_cast<std::string_view>(&value)) {
        return std::string(*text);
    }
    return value;
}

bool is_control(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
}

bool needs_quotes(std::string_view value) noexcept {
    return value.empty() || std::any_of(value.begin(), value.end(), [](char c) {
               return is_control(c) || c == ' ' || c == '"' || c == '=' || c == ']';
           });
}

void append_value(std::string& text, std::string_view value) {
    if (!needs_quotes(value)) {
        text.append(value);
        return;
    }
    text += '"';
    for (const char c : value) {
        if (c == '"' || c == '\\') {
            text += '\\';
        }
        text += is_control(c) ? ' ' : c;
    }
    text += '"';
}

void append_key(std::string& text, std::string_view key) {
    for (const char c : key) {
        text += needs_quotes(std::string_view(&c, 1)) ? '_' : c;
    }
}

}  // namespace

/// The newest entry comes first. No key appears twice, so the length is bounded by the number of
/// keys even if a loop sets one again and again.
struct ContextMap::Entry {
    Entry(std::shared_ptr<const Item> newest, std::shared_ptr<const Entry> older)
        : item(std::move(newest)),
          next(std::move(older)) {}

    std::shared_ptr<const Item> item;  ///< Shared, as a list without a hidden key is made anew.
    std::shared_ptr<const Entry> next;
};

ContextMap ContextMap::with(std::string key, std::any value) const {
    auto item = std::make_shared<Item>();
    item->key = std::move(key);
    item->value = owned(std::move(value));
    std::shared_ptr<const Entry> rest = head_;
    if (find(item->key) != nullptr) {
        std::vector<std::shared_ptr<const Item>> newer;
        const Entry* hidden = head_.get();
        for (; hidden->item->key != item->key; hidden = hidden->next.get()) {
            newer.push_back(hidden->item);
        }
        rest = hidden->next;
        for (; !newer.empty(); newer.pop_back()) {
            rest = std::make_shared<const Entry>(std::move(newer.back()), std::move(rest));
        }
    }
    ContextMap result;
    result.head_ = std::make_shared<const Entry>(std::move(item), std::move(rest));
    return result;
}

const std::any* ContextMap::find(std::string_view key) const noexcept {
    for (const Entry* entry = head_.get(); entry != nullptr; entry = entry->next.get()) {
        if (entry->item->key == key) {
            return &entry->item->value;
        }
    }
    return nullptr;
}

std::string ContextMap::log_fields() const {
    std::vector<const Item*> fields;
    for (const Entry* entry = head_.get(); entry != nullptr; entry = entry->next.get()) {
        if (std::any_cast<std::string>(&entry->item->value) != nullptr) {
            fields.push_back(entry->item.get());
        }
    }
    std::string text;
    for (; !fields.empty(); fields.pop_back()) {
        if (!text.empty()) {
            text += ' ';
        }
        append_key(text, fields.back()->key);
        text += '=';
        append_value(text, *std::any_cast<std::string>(&fields.back()->value));
    }
    return text;
}

constinit thread_local const ContextMap* current_context_map = nullptr;

ContextMap current_context() {
    return current_context_map != nullptr ? *current_context_map : ContextMap();
}

ContextMap context_to_begin_with(const ContextMap& given) {
    if (current_context_map == nullptr) {
        return given;
    }
    if (given.empty()) {
        return *current_context_map;
    }
    ContextMap context = given;
    const ContextMap::Entry* entry = current_context_map->head_.get();
    for (; entry != nullptr; entry = entry->next.get()) {
        const Item& item = *entry->item;
        if (item.key.rfind(mark_prefix, 0) == 0 && context.find(item.key) == nullptr) {
            context = context.with(item.key, item.value);
        }
    }
    return context;
}

ContextScope::ContextScope(ContextMap context)
    : context_(std::move(context)),
      before_(std::exchange(current_context_map, &context_)) {}

ContextScope::~ContextScope() {
    current_context_map = before_;
}

}  // namespace llmproc
