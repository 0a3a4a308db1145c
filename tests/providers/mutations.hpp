// Changed copies of JSON texts, about half of them still JSON.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmproc::testing_cassettes {

/// The same sequence everywhere (xorshift64*), which std's distributions do not promise.
class Chance {
public:
    explicit Chance(std::uint64_t seed) : state_(seed) {}

    std::size_t below(std::size_t limit) {
        state_ ^= state_ >> 12U;
        state_ ^= state_ << 25U;
        state_ ^= state_ >> 27U;
        return static_cast<std::size_t>((state_ * 2685821657736338717ULL) >> 33U) % limit;
    }

private:
    std::uint64_t state_;
};

inline void change_byte(std::string& text, Chance& chance) {
    constexpr std::string_view bytes("\x00\xff{}[]\",:\\x\n0-e.\t \xc3", 20);
    text[chance.below(text.size())] = bytes[chance.below(bytes.size())];
}

inline void drop_bytes(std::string& text, Chance& chance) {
    text.erase(chance.below(text.size()), 1 + chance.below(4));
}

inline void insert_piece(std::string& text, Chance& chance) {
    constexpr std::array<std::string_view, 18> pieces{
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\u0000",
        "\\n",
        "\\/",
        " \t\r\n ",
        "\"",
        "null",
        "1e3",
        "-0",
        "{}",
        "[]",
        "\xc3\xa9",
        "\xf0\x9f\x8c\x9e",
        "\xed\xa0\x80",
        "\\u12",
        "true",
        ","};
    text.insert(chance.below(text.size() + 1), pieces[chance.below(pieces.size())]);
}

/// Another value in place of one that is no object or array.
inline void replace_value(std::string& text, Chance& chance) {
    constexpr std::array<std::string_view, 16> values{
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "2.0",
        "1e2",
        "1.5",
        "9007199254740993",
        "\"\"",
        "\"text\"",
        "\"a\\u0041\\ud83c\\udf1e\"",
        "{}",
        "[]",
        R"([{"type":"text","text":"x"}])"};
    const std::size_t colon = text.find("\":", chance.below(text.size()));
    if (colon == std::string::npos) {
        return change_byte(text, chance);
    }
    const std::size_t begin = colon + 2;
    std::size_t end = text.find_first_of(",}]", begin);
    if (begin < text.size() && text[begin] == '"') {
        const std::size_t quote = text.find('"', begin + 1);
        end = quote == std::string::npos ? quote : quote + 1;
    }
    end = end == std::string::npos ? text.size() : end;
    text.replace(begin, end - begin, values[chance.below(values.size())]);
}

/// A member's name is changed by a letter, so the member is not known any more.
inline void rename_member(std::string& text, Chance& chance) {
    const std::size_t colon = text.find("\":", chance.below(text.size()));
    if (colon == std::string::npos || colon == 0) {
        return change_byte(text, chance);
    }
    text[colon - 1] = static_cast<char>('a' + static_cast<char>(chance.below(26)));
}

/// The same text in other words: a letter as an escape.
inline void escape_letter(std::string& text, Chance& chance) {
    const std::size_t at = chance.below(text.size());
    const char letter = text[at];
    if (letter < 'a' || letter > 'z') {
        return insert_piece(text, chance);
    }
    constexpr std::string_view hex = "0123456789abcdef";
    const auto code = static_cast<unsigned char>(letter);
    text.replace(at, 1, std::string("\\u00") + hex[code >> 4U] + hex[code & 15U]);
}

inline std::string mutated(std::string text, Chance& chance) {
    if (text.empty()) {
        return text;
    }
    switch (chance.below(16)) {
        case 0:
        case 1: change_byte(text, chance); break;
        case 2: drop_bytes(text, chance); break;
        case 3: text.resize(chance.below(text.size())); break;
        case 4:
        case 5: insert_piece(text, chance); break;
        case 6:
        case 7:
        case 8:
        case 9: replace_value(text, chance); break;
        case 10:
        case 11: rename_member(text, chance); break;
        default: escape_letter(text, chance); break;
    }
    return text;
}

}  // namespace llmproc::testing_cassettes
