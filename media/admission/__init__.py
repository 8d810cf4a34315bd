"""Who may send: tokens and signatures of media streams, judged before anything is allocated for them."""
