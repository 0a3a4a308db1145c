#include "core/environment.hpp"

#include "core/fork_guard.hpp"

#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <utility>

namespace llmproc {

namespace {

using Variables = std::map<std::string, std::string>;

struct Override {
    std::mutex mutex;
    std::shared_ptr<const Variables> variables;  ///< nullptr = the real environment.
};

constinit PerProcess<Override> override_now;

Override& current() {
    return override_now.get();
}

std::optional<std::string> lookup(const std::string& name) {
    std::shared_ptr<const Variables> variables;
    {
        const std::lock_guard<std::mutex> lock(current().mutex);
        variables = current().variables;
    }
    if (variables == nullptr) {
        const char* const value = std::getenv(name.c_str());
        return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
    }
    const auto found = variables->find(name);
    return found != variables->end() ? std::optional<std::string>(found->second) : std::nullopt;
}

}  // namespace

std::optional<std::string> environment_variable(const std::string& name) {
    constexpr const char* space = " \t\r\n\v\f";
    const std::optional<std::string> value = lookup(name);
    if (!value.has_value()) {
        return std::nullopt;
    }
    const std::size_t begin = value->find_first_not_of(space);
    if (begin == std::string::npos) {
        return std::nullopt;
    }
    return value->substr(begin, value->find_last_not_of(space) - begin + 1);
}

ScopedEnvironment::ScopedEnvironment(Variables variables) {
    auto next = std::make_shared<const Variables>(std::move(variables));
    const std::lock_guard<std::mutex> lock(current().mutex);
    previous_ = std::exchange(current().variables, std::move(next));
}

ScopedEnvironment::~ScopedEnvironment() {
    const std::lock_guard<std::mutex> lock(current().mutex);
    current().variables.swap(previous_);
}

}  // namespace llmproc
