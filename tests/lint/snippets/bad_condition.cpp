// A co_await as the condition of if or while, in a body without locals.
awaitable<void> branch() {
    if (co_await ready())  // bad
        co_await act();
}
awaitable<void> repeat() {
    while (co_await ready()) {  // bad
    }
}
awaitable<int> leave() {
    if (!co_await ready()) {  // bad
        co_return 1;
    }
    co_return 2;
}
