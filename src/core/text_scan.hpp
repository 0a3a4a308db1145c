/// @file
/// Fast scanning of text for the JSON reader and writer.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace llmproc {

/// The first byte in [begin, end) that a JSON string cannot hold as it is or that needs a closer
/// look: a control character, a quote, a backslash or a byte beyond ASCII; `end` if there is none.
inline const char* find_special(const char* begin, const char* end) noexcept {
#ifdef __SSE2__
    while (end - begin >= 16) {
        const __m128i bytes = _mm_loadu_si128(
            static_cast<const __m128i*>(static_cast<const void*>(begin))
        );
        // Signed: bytes beyond ASCII are less than a space, too.
        const __m128i hits = _mm_or_si128(
            _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)),
            _mm_or_si128(
                _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))
            )
        );
        const auto mask = static_cast<unsigned>(_mm_movemask_epi8(hits));
        if (mask != 0) {
            return begin + std::countr_zero(mask);
        }
        begin += 16;
    }
#endif
    constexpr std::uint64_t ones = 0x0101010101010101U;
    while (end - begin >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, begin, sizeof word);
        // A borrow only reaches bytes above a true hit, so the lowest hit is exact.
        const std::uint64_t hits = (word | (word - ones * 0x20) | ((word ^ (ones * 0x22)) - ones) |
                                    ((word ^ (ones * 0x5c)) - ones)) &
                                   (ones * 0x80);
        if (hits != 0) {
            if constexpr (std::endian::native == std::endian::little) {
                return begin + std::countr_zero(hits) / 8;
            }
            break;
        }
        begin += 8;
    }
    for (; begin != end; ++begin) {
        const auto byte = static_cast<unsigned char>(*begin);
        if (byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x80) {
            return begin;
        }
    }
    return end;
}

/// Length of the UTF-8 sequence of two to four bytes at `begin`; 0 if it is not a valid one
/// (overlong, a surrogate, beyond U+10FFFF, cut off; RFC 3629).
inline unsigned utf8_sequence(const char* begin, const char* end) noexcept {
    const auto byte = [&](int index) { return static_cast<unsigned char>(begin[index]); };
    const auto continues = [&](int index) {
        return end - begin > index && (byte(index) & 0xc0U) == 0x80U;
    };
    const unsigned lead = byte(0);
    if (lead < 0xc2 || lead > 0xf4 || !continues(1)) {
        return 0;
    }
    if (lead < 0xe0) {
        return 2;
    }
    const unsigned second = byte(1);
    if (lead < 0xf0) {
        const bool valid = !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second > 0x9f);
        return valid && continues(2) ? 3 : 0;
    }
    const bool valid = !(lead == 0xf0 && second < 0x90) && !(lead == 0xf4 && second > 0x8f);
    return valid && continues(2) && continues(3) ? 4 : 0;
}

}  // namespace llmproc
