#pragma once

#include <llmproc/testing/reply.hpp>

#include <vector>

namespace llmproc::testing {

/// A reply as bytes: what to write, when, and what then becomes of the connection.
class ReplyPlan {
public:
    ReplyPlan() = default;

    std::vector<ReplyPiece> steps;
    ReplyEnd end = ReplyEnd::keep_alive;
    bool close_notify = true;
};

/// Properties of the request that shape the bytes of its response.
class PlanContext {
public:
    PlanContext() = default;

    bool head_request = false;
    bool last_on_connection = false;  ///< announce the close, whatever the reply says
};

ReplyPlan make_plan(const ReplySpec& spec, const PlanContext& context);

}  // namespace llmproc::testing
