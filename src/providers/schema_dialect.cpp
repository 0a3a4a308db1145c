#include "providers/schema_dialect.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace llmproc::providers {

namespace {

using Words = std::vector<std::string_view>;

constexpr std::array<std::string_view, 10> text_formats{
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
    "uri"};

SchemaDialect openai_strict() {
    SchemaDialect dialect;
    dialect.name = "OpenAI's strict mode does not take";
    dialect.kept = {
        "title",
        "description",
        "pattern",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
        "enum",
        "const"};
    dialect.formats = Words(text_formats.begin(), text_formats.end() - 1);
    dialect.closed = dialect.all_required = dialect.references = dialect.recursion = true;
    dialect.typed = dialect.limited = true;
    return dialect;
}

SchemaDialect anthropic() {
    SchemaDialect dialect;
    dialect.name = "Anthropic's structured output does not take";
    dialect.kept = {"title", "description", "default", "enum", "const"};
    dialect.formats = Words(text_formats.begin(), text_formats.end());
    dialect.closed = dialect.references = dialect.some_items = true;
    return dialect;
}

SchemaDialect gemini() {
    SchemaDialect dialect;
    dialect.name = "Gemini does not take";
    dialect.kept = {
        "title",
        "description",
        "format",
        "enum",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "propertyOrdering"};
    return dialect;
}

bool holds(const Words& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

const SchemaDialect& schema_dialect(SchemaRules rules) {
    static const auto* const all = new std::array<SchemaDialect, 3>{
        openai_strict(),
        anthropic(),
        gemini()};  // never destroyed: threads that end after main may still use it
    return (*all)[static_cast<std::size_t>(rules)];
}

bool keeps(const SchemaDialect& dialect, std::string_view keyword, const JsonTree& value) {
    if (keyword == "format" && !dialect.formats.empty()) {
        return holds(dialect.formats, value.string_value());
    }
    const bool some = dialect.some_items && keyword == "minItems" &&
                      (value.text == "0" || value.text == "1");
    return some || holds(dialect.kept, keyword);
}

bool is_schema_constraint(std::string_view keyword) {
    static const Words words{
        "default",
        "format",
        "pattern",
        "minLength",
        "maxLength",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "minItems",
        "exclusiveMaximum",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "contentMediaType",
        "contentEncoding"};
    return holds(words, keyword);
}

}  // namespace llmproc::providers
