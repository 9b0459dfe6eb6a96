"""Deciding: the policy, the rules, the challenge, the slates, the reasons and the reward."""
