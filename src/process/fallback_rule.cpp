#include "process/fallback_rule.hpp"

#include <llmproc/error.hpp>

namespace llmproc {

namespace {

/// Limits that are not the model's: they would be met again.
bool concerns_the_call(Stage stage) noexcept {
    return stage == Stage::queue || stage == Stage::consumer || stage == Stage::close ||
           stage == Stage::total;
}

}  // namespace

bool another_model_may_do(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const Timeout& timeout) {
        return !concerns_the_call(timeout.stage());
    } catch (const LLMError& known) {
        // A repeated handshake would fail again, one with another server need not.
        return known.code() == Condition::retryable || known.errc() == Errc::tls_handshake_failed;
    } catch (...) {
        return false;  // Not one of ours: a bug, which another model does not mend.
    }
}

}  // namespace llmproc
