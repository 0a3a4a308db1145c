/// @file
/// Environment variables, replaceable in tests.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace llmproc {

/// The variable's value without white space around it; none if it is unset or then empty.
std::optional<std::string> environment_variable(const std::string& name);

/// While it lives, `environment_variable` sees these variables and no others, on all threads.
/// Several nest: the youngest one counts; they must die in reverse order.
class ScopedEnvironment {
public:
    explicit ScopedEnvironment(std::map<std::string, std::string> variables);
    ScopedEnvironment(const ScopedEnvironment&) = delete;
    ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;
    ~ScopedEnvironment();

private:
    std::shared_ptr<const std::map<std::string, std::string>> previous_;
};

}  // namespace llmproc
