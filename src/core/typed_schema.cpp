#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "core/typed_json.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace llmproc::detail {

namespace {

/// A class that contains itself, and its name in `$defs`.
struct Definition {
    const ObjectNode* type;
    std::string name;
};

/// Finds the classes that contain themselves; all others are written where they are used.
class RecursionFinder {
public:
    void visit(const TypeNode& type) {
        switch (type.kind) {
            case TypeKind::object: visit_object(as<ObjectNode>(type)); return;
            case TypeKind::sequence: visit(as<SequenceNode>(type).element()); return;
            case TypeKind::map: visit(as<MapNode>(type).element()); return;
            case TypeKind::nullable: visit(as<NullableNode>(type).value()); return;
            case TypeKind::choice: visit_alternatives(as<ChoiceNode>(type)); return;
            default: return;
        }
    }
    std::vector<Definition> take() { return std::move(found_); }

private:
    void visit_object(const ObjectNode& type) {
        if (std::find(open_.begin(), open_.end(), &type) != open_.end()) {
            add(type);
            return;
        }
        if (!done_.insert(&type).second) {
            return;
        }
        open_.push_back(&type);
        for (std::size_t i = 0; i < type.count; ++i) {
            visit(type.members[i].type());
        }
        open_.pop_back();
    }

    void visit_alternatives(const ChoiceNode& type) {
        for (std::size_t i = 0; i < type.count; ++i) {
            visit(type.alternatives[i]());
        }
    }

    void add(const ObjectNode& type) {
        const auto is_it = [&](const Definition& known) { return known.type == &type; };
        if (std::any_of(found_.begin(), found_.end(), is_it)) {
            return;
        }
        std::string name;
        for (const char c : type.name) {
            const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               (c >= '0' && c <= '9');
            name.push_back(plain ? c : '_');
        }
        const auto has_it = [&](const Definition& known) { return known.name == name; };
        while (std::any_of(found_.begin(), found_.end(), has_it)) {
            name += "_";
        }
        found_.push_back(Definition{&type, std::move(name)});
    }

    std::vector<const ObjectNode*> open_;
    std::unordered_set<const ObjectNode*> done_;
    std::vector<Definition> found_;
};

class SchemaWriter {
public:
    SchemaWriter(std::string& out, SchemaForm form, std::vector<Definition> definitions)
        : json_(out),
          form_(form),
          definitions_(std::move(definitions)) {}

    void write_root(const TypeNode& type) {
        json_.begin_object();
        if (form_ == SchemaForm::answer && is_wrapped(type)) {
            begin_members();
            member(wrapping_member, type);
            end_members({wrapping_member});
        } else {
            write_body(type);
        }
        if (!definitions_.empty()) {
            json_.key("$defs");
            json_.begin_object();
            for (const Definition& definition : definitions_) {
                json_.key(definition.name);
                json_.begin_object();
                write_body(*definition.type);
                json_.end_object();
            }
            json_.end_object();
        }
        json_.end_object();
    }

private:
    void write(const TypeNode& type) {
        json_.begin_object();
        const auto is_it = [&](const Definition& known) { return known.type == &type; };
        const auto found = std::find_if(definitions_.begin(), definitions_.end(), is_it);
        if (found != definitions_.end()) {
            text("$ref", "#/$defs/" + found->name);
        } else {
            write_body(type);
        }
        json_.end_object();
    }

    /// The members of the type's schema.
    void write_body(const TypeNode& type) {
        switch (type.kind) {
            case TypeKind::null: text("type", "null"); return;
            case TypeKind::boolean: text("type", "boolean"); return;
            case TypeKind::string: text("type", "string"); return;
            case TypeKind::number: text("type", "number"); return;
            case TypeKind::integer: write_integer(as<IntegerNode>(type)); return;
            case TypeKind::enumeration: write_enum(as<EnumNode>(type)); return;
            case TypeKind::object: write_object(as<ObjectNode>(type)); return;
            case TypeKind::sequence: write_sequence(as<SequenceNode>(type)); return;
            case TypeKind::map: write_map(as<MapNode>(type)); return;
            case TypeKind::nullable:
            case TypeKind::choice:
                json_.key("anyOf");
                json_.begin_array();
                write_alternatives(type);
                json_.end_array();
                return;
        }
    }

    void text(std::string_view name, std::string_view value) {
        json_.key(name);
        json_.string(value);
    }

    /// Only the narrow ranges are worth telling a model.
    void write_integer(const IntegerNode& type) {
        text("type", "integer");
        const bool narrow = type.max <= std::numeric_limits<std::uint16_t>::max();
        if (narrow || type.min == 0) {
            bound("minimum", type.min);
        }
        if (narrow) {
            bound("maximum", static_cast<std::int64_t>(type.max));
        }
    }

    void bound(std::string_view name, std::int64_t value) {
        json_.key(name);
        json_.integer(value);
    }

    void write_enum(const EnumNode& type) {
        text("type", "string");
        json_.key("enum");
        json_.begin_array();
        for (std::size_t i = 0; i < type.count; ++i) {
            json_.string(type.enumerators[i].name);
        }
        json_.end_array();
    }

    void begin_members() {
        text("type", "object");
        json_.key("properties");
        json_.begin_object();
    }
    void member(std::string_view name, const TypeNode& type) {
        json_.key(name);
        write(type);
    }
    /// All of them are required, and no others are allowed.
    void end_members(const std::vector<std::string_view>& names) {
        json_.end_object();
        json_.key("required");
        json_.begin_array();
        for (const std::string_view name : names) {
            json_.string(name);
        }
        json_.end_array();
        json_.key("additionalProperties");
        json_.boolean(false);
    }

    void write_object(const ObjectNode& type) {
        std::vector<std::string_view> names;
        begin_members();
        for (std::size_t i = 0; i < type.count; ++i) {
            const std::string_view name = type.members[i].name;
            if (std::find(names.begin(), names.end(), name) != names.end()) {
                throw LLMError(
                    Errc::invalid_argument,
                    std::string(type.name) + " has two members named \"" + std::string(name) +
                        "\", maybe of two bases: JSON cannot tell them apart, rename one"
                );
            }
            names.push_back(name);
            member(name, type.members[i].type());
        }
        end_members(names);
    }

    void write_sequence(const SequenceNode& type) {
        text("type", "array");
        json_.key("items");
        write(type.element());
        if (type.size != SequenceNode::any_size) {
            bound("minItems", static_cast<std::int64_t>(type.size));
            bound("maxItems", static_cast<std::int64_t>(type.size));
        }
    }

    /// Structured output takes no members of any name.
    void write_map(const MapNode& type) {
        if (form_ == SchemaForm::plain) {
            text("type", "object");
            json_.key("additionalProperties");
            write(type.element());
            return;
        }
        text("type", "array");
        json_.key("items");
        json_.begin_object();
        begin_members();
        member(entry_key, string_type);
        member(entry_value, type.element());
        end_members({entry_key, entry_value});
        json_.end_object();
    }

    void write_alternatives(const TypeNode& type) {
        if (type.kind == TypeKind::nullable) {
            write_alternatives(as<NullableNode>(type).value());
            write(null_type);
        } else if (type.kind == TypeKind::choice) {
            const auto& choice = as<ChoiceNode>(type);
            for (std::size_t i = 0; i < choice.count; ++i) {
                write_alternatives(choice.alternatives[i]());
            }
        } else {
            write(type);
        }
    }

    static constexpr TypeNode string_type{TypeKind::string};
    static constexpr TypeNode null_type{TypeKind::null};

    JsonWriter json_;
    SchemaForm form_;
    std::vector<Definition> definitions_;
};

}  // namespace

std::string write_schema(const TypeNode& type, SchemaForm form) {
    RecursionFinder finder;
    finder.visit(type);
    std::string text;
    SchemaWriter(text, form, finder.take()).write_root(type);
    return text;
}

std::string write_schema(const TypeNode& type) {
    return write_schema(type, SchemaForm::plain);
}

}  // namespace llmproc::detail
