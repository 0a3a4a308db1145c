// ?: around a co_await, on either side or in the condition.
awaitable<void> pick(bool yes) {
    auto a = yes ? co_await left() : co_await right();  // bad
    auto b = yes ? co_await left() : text();  // bad
    auto c = yes ? text() : co_await right();  // bad
    auto d = co_await ready() ? text() : other();  // bad
    auto e = (co_await ready()) ? text() : other();  // bad
}
