#include <llmproc/provider.hpp>

namespace llmproc {

ModelRules& ModelRules::fill_from(const ModelRules& defaults) {
    const auto fill = [](auto& own, const auto& fallback) {
        if (!own) {
            own = fallback;
        }
    };
    fill(sampling, defaults.sampling);
    fill(max_completion_tokens, defaults.max_completion_tokens);
    fill(developer_role, defaults.developer_role);
    fill(structured_output, defaults.structured_output);
    fill(adaptive_thinking, defaults.adaptive_thinking);
    fill(thinking_budget, defaults.thinking_budget);
    fill(max_output_tokens, defaults.max_output_tokens);
    return *this;
}

}  // namespace llmproc
