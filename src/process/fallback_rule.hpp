/// @file
/// Which failures of one model let the next one be asked.
#pragma once

#include <exception>

namespace llmproc {

/// Whether another model may succeed where one has failed for good, its retries included. Pure.
///
/// What passes by itself does: the network, TLS, a limit of a stage, 429 and 5xx. What somebody
/// must mend does not, so that it is not hidden: the request, the key, the quota, the model's name,
/// a certificate. Nor does what ends the call as a whole.
bool another_model_may_do(const std::exception_ptr& error);

}  // namespace llmproc
