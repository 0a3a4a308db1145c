/// @file
/// The Asio names that this library bans.
#pragma once

#include "finding.hpp"
#include "lexer.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::lint {

struct Ban {
    std::string_view word;
    std::string_view remedy;
};

inline constexpr std::array<Ban, 5> banned_words{{
    {"detached", "a coroutine nobody owns; spawn it through async/spawn.hpp"},
    {"use_future", "a bare future hangs with a dead loop; use the sync bridge"},
    {"async_resolve", "it cannot be abandoned at a deadline; use net/resolver.hpp"},
    {"verify_none", "it turns certificate checks off"},
    {"tlsv12_client", "it excludes TLS 1.3; use tls_client with a minimum version"},
}};

inline constexpr std::array<Ban, 3> banned_includes{{
    {"awaitable_operators.hpp", "its operators hide which side failed; use async helpers"},
    {"asio/detached.hpp", "a coroutine nobody owns; spawn it through async/spawn.hpp"},
    {"asio/use_future.hpp", "a bare future hangs with a dead loop; use the sync bridge"},
}};

inline void check_bans(const Lexer& lexer, std::vector<Finding>& findings) {
    for (const Directive& directive : lexer.directives) {
        for (const Ban& ban : banned_includes) {
            if (directive.text.find(ban.word) != std::string::npos) {
                findings.push_back(
                    {directive.line, std::string(ban.word) + ": " + std::string(ban.remedy)}
                );
            }
        }
    }
    for (const Token& token : lexer.tokens) {
        for (const Ban& ban : banned_words) {
            if (token.kind == Kind::word && token.text == ban.word) {
                findings.push_back({token.line, token.text + ": " + std::string(ban.remedy)});
            }
        }
    }
}

}  // namespace llmproc::lint
