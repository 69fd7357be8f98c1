"""The scene that stands for the door in these tests says what the API describes, so what they show is what is there."""

from __future__ import annotations

import scene

from proxy.admin import shapes


def test_every_part_of_the_scene_has_the_shape_that_the_api_describes():
    at = scene.START + 41
    tick = scene.tick(at)
    shapes.Sample.model_validate(tick["sample"])
    shapes.State.model_validate(tick["state"])
    shapes.Sites.model_validate({"sites": tick["sites"]})
    shapes.Upstreams.model_validate({"upstreams": tick["upstreams"]})
    shapes.Limits.model_validate({"limits": tick["limits"]})
    shapes.Workers.model_validate({"workers": tick["workers"]})
    shapes.Certificates.model_validate({"certificates": scene.certificates()})
    shapes.Configuration.model_validate(scene.config())
    shapes.Apps.model_validate({"apps": scene.apps(at)})
    shapes.Errors.model_validate({"errors": scene.errors(at)})
    shapes.LiveExchanges.model_validate({"exchanges": scene.live(at), "complete": True})
    for one in scene.errors(at) + scene.slowest(at):
        shapes.Explanation.model_validate(scene.explanation(one))


def test_it_shows_every_state_that_a_backend_can_have():
    states = {backend["state"] for upstream in scene.upstreams() for backend in upstream["backends"]}
    assert states == set(shapes.Backend.model_fields["state"].annotation.__args__)
