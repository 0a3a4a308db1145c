awaitable<void> pick(bool yes) {
    std::string a;
    if (yes) {
        a = co_await left();
    } else {
        a = co_await right();
    }
    const std::string_view b = yes ? "left" : "right";
    co_await send(b);
}
