awaitable<void> branch() {
    const auto yes = co_await ready();
    if (yes)
        co_await act();
    else
        co_await rest();
}
awaitable<void> repeat() {
    while (auto event = co_await stream.next()) {
        use(*event);
    }
    for (;;) {
        const bool more = co_await ready();
        if (!more) {
            break;
        }
    }
}
awaitable<int> last() {
    co_return co_await number();
}
