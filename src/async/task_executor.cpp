#include "async/task_executor.hpp"

#include "async/handler_watch.hpp"
#include "core/current_context.hpp"

#include <boost/asio/execution/any_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace llmproc::async {

namespace asio = boost::asio;

namespace {

using ScopePtr = std::shared_ptr<const TaskScope>;

constinit thread_local const TaskScope* running_scope = nullptr;

/// The scope of the thread while a handler runs.
class RunningScope {
public:
    explicit RunningScope(const TaskScope& scope) noexcept
        : before_(std::exchange(running_scope, &scope)),
          context_(&scope.context) {}
    RunningScope(const RunningScope&) = delete;
    RunningScope& operator=(const RunningScope&) = delete;
    ~RunningScope() { running_scope = before_; }

private:
    const TaskScope* before_;
    const CurrentContext context_;
};

template <typename Function>
struct Scoped {
    Function function;
    ScopePtr scope;

    void operator()() {
        const RunningScope running(*scope);
        note_handler(scope->name);
        std::move(function)();
    }
};

/// Around the executor of an io_context it is as small as three pointers, which any_io_executor
/// keeps without an allocation.
template <typename Inner>
class TaskExecutor {
public:
    TaskExecutor(Inner inner, ScopePtr scope) noexcept
        : inner_(std::move(inner)),
          scope_(std::move(scope)) {}

    template <typename Function>
    void execute(Function&& function) const {
        inner_.execute(Scoped<std::decay_t<Function>>{std::forward<Function>(function), scope_});
    }

    template <typename Property>
    requires(asio::can_query<const Inner&, Property>::value) auto query(const Property& property
    ) const noexcept(asio::is_nothrow_query<const Inner&, Property>::value)
        -> std::remove_const_t<typename asio::query_result<const Inner&, Property>::type> {
        return asio::query(inner_, property);
    }

    template <typename Property>
    requires(asio::can_require<const Inner&, Property>::value) auto require(const Property& property
    ) const {
        return wrap(asio::require(inner_, property));
    }

    template <typename Property>
    requires(asio::can_prefer<const Inner&, Property>::value) auto prefer(const Property& property
    ) const {
        return wrap(asio::prefer(inner_, property));
    }

    friend bool operator==(const TaskExecutor& a, const TaskExecutor& b) noexcept {
        return a.inner_ == b.inner_ && a.scope_ == b.scope_;
    }
    friend bool operator!=(const TaskExecutor& a, const TaskExecutor& b) noexcept {
        return !(a == b);
    }

    const Inner& inner() const noexcept { return inner_; }
    const ScopePtr& scope() const noexcept { return scope_; }

private:
    template <typename Other>
    TaskExecutor<std::decay_t<Other>> wrap(Other&& other) const {
        return TaskExecutor<std::decay_t<Other>>(std::forward<Other>(other), scope_);
    }

    Inner inner_;
    ScopePtr scope_;
};

template <unsigned Bits>
using IoExecutor = asio::io_context::basic_executor_type<std::allocator<void>, Bits>;

/// Blocking, relationship and outstanding work are bits of the type of an io_context's executor.
constexpr std::size_t bit_patterns = 8;
static_assert(std::is_same_v<IoExecutor<0>, asio::io_context::executor_type>);
static_assert(sizeof(TaskExecutor<asio::io_context::executor_type>) <= 3 * sizeof(void*));

template <typename Inner, typename Visitor>
bool visit_as(const asio::any_io_executor& executor, Visitor& visitor) {
    const auto* const wrapped = executor.target<TaskExecutor<Inner>>();
    if (wrapped == nullptr) {
        return false;
    }
    visitor(*wrapped);
    return true;
}

template <typename Visitor, std::size_t... Bits>
void visit(
    const asio::any_io_executor& executor,
    Visitor visitor,
    std::index_sequence<Bits...> /*bits*/
) {
    static_cast<void>(
        (visit_as<IoExecutor<static_cast<unsigned>(Bits)>>(executor, visitor) || ...) ||
        visit_as<asio::any_io_executor>(executor, visitor)
    );
}

/// Calls `visitor` with the TaskExecutor inside, if it is one.
template <typename Visitor>
void visit(const asio::any_io_executor& executor, Visitor visitor) {
    visit(executor, std::move(visitor), std::make_index_sequence<bit_patterns>());
}

ContextMap with_task(const std::string& name, ContextMap context) {
    return name.empty() ? std::move(context) : context.with("task", name);
}

}  // namespace

TaskScope::TaskScope(
    std::string task_name,
    ContextMap task_context,
    std::weak_ptr<void> blocked_caller
)
    : name(std::move(task_name)),
      context(with_task(name, std::move(task_context))),
      caller(std::move(blocked_caller)) {}

asio::any_io_executor with_scope(const asio::any_io_executor& inner, ScopePtr scope) {
    if (const auto* const typed = inner.target<asio::io_context::executor_type>()) {
        return TaskExecutor<asio::io_context::executor_type>(*typed, std::move(scope));
    }
    return TaskExecutor<asio::any_io_executor>(inner, std::move(scope));
}

ScopePtr scope_of(const asio::any_io_executor& executor) {
    ScopePtr found;
    visit(executor, [&found](const auto& wrapped) { found = wrapped.scope(); });
    return found;
}

asio::any_io_executor without_scope(const asio::any_io_executor& executor) {
    asio::any_io_executor inner = executor;
    visit(executor, [&inner](const auto& wrapped) {
        inner = asio::any_io_executor(wrapped.inner());
    });
    return inner;
}

const TaskScope* current_scope() noexcept {
    return running_scope;
}

}  // namespace llmproc::async
