"""Two graphs of LangGraph: the researcher uses a tool in a loop, the writer is a single node.

The graphs keep nothing themselves: what a turn has given is in the run, so no checkpointer is needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import offline
from board_tools import facts
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

TOOLS = [tool(facts)]


async def research(prompt: str) -> str:
    """Run the researcher's graph: model, tool, model."""
    model = _model().bind_tools(TOOLS)

    async def think(state: MessagesState) -> dict[str, list[BaseMessage]]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)  # its own types say less: parts of them are unknown
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode(TOOLS))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    asked = [SystemMessage("Look up the product, then say in one line what is worth telling."), HumanMessage(prompt)]
    state = await graph.compile().ainvoke({"messages": asked})
    return str(state["messages"][-1].content)


async def write(prompt: str, input: str) -> str:  # noqa: A002  agentflow passes the step's input by this name
    """Ask the model once, with the researcher's notes."""
    answer = await _model().ainvoke(f"{prompt}\n\nNotes: {input}")
    return str(answer.content)


def _model() -> BaseChatModel:
    return ChatOpenAI(model="gpt-5.4-mini") if os.environ.get("OPENAI_API_KEY") else Scripted()


class Scripted(BaseChatModel):
    """A chat model for who has no key."""

    tools: bool = False

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[Any, AIMessage]:
        """Return the model that may call tools."""
        return Scripted(tools=bool(tools))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = next(str(message.content) for message in messages if isinstance(message, HumanMessage))
        found = [str(message.content) for message in messages if isinstance(message, ToolMessage)]
        if not self.tools:
            said = AIMessage(offline.draft(prompt))
        elif found:
            said = AIMessage(offline.outline(found[-1]))
        else:
            call = {"name": "facts", "args": {"product": offline.look_up(prompt)}, "id": "call-1", "type": "tool_call"}
            said = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=said)])
